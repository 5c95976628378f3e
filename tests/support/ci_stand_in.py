# SPDX-License-Identifier: MIT
"""What stands for Boardwright where a pipeline is run: it writes down how it was called, and leaves files."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conftest import ROOT

MAKEFILE = """\
.venv/ready:
	@mkdir -p .venv/bin && cp stand-in .venv/bin/boardwright && touch .venv/ready
check boards: .venv/ready
	@echo checked
build: .venv/ready
	@.venv/bin/boardwright build $(BOARD)
"""
STAND_IN = """\
#!/bin/sh
set -eu
case "$1" in ci) PYTHONPATH={root} exec {python} -m builder "$@" ;; esac
key=${{BOARDWRIGHT_CACHE_KEY:+" KEY=$(cat "$BOARDWRIGHT_CACHE_KEY")"}}
echo "$* VERSION=${{VERSION:-}} CACHE=${{BOARDWRIGHT_CACHE:-}} MODE=${{BOARDWRIGHT_CACHE_MODE:-}}$key" >> {calls}
case "$1" in
build)
    mkdir -p dist work/logs
    touch "dist/boardwright-$2-${{VERSION:-dev}}.img.zst" "dist/boardwright-$2-${{VERSION:-dev}}.img.zst.sha256"
    echo '<testsuites/>' > "dist/boardwright-$2-${{VERSION:-dev}}.specs.xml"
    if [ "$2" = "${{FAILS:-}}" ]; then echo "a spec is red" > "work/logs/$2.log"; exit 10; fi ;;
package)
    for image in dist/*.img.zst; do
        name=$(basename "$image" .img.zst)
        mkdir -p "release/$name" && touch "release/$name/$name.manifest.json"
    done ;;
release) test -n "$(ls release/)" ;;
esac
"""


def put_stand_in(tool: Path, calls: Path) -> None:
    """Make a directory look like Boardwright's.

    calls  file that gets a line for each call; `ci` is not written down, but done by the real program
    """
    (tool / "Makefile").write_text(MAKEFILE)
    (tool / "stand-in").write_text(STAND_IN.format(root=ROOT, python=sys.executable, calls=calls))
    (tool / "stand-in").chmod(0o755)
    ignored = (".venv/", "dist/", "work/", "release/", "boards.txt", ".gitlab-ci-local/")
    (tool / ".gitignore").write_text("\n".join(ignored) + "\n")
