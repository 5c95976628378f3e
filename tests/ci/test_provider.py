# SPDX-License-Identifier: MIT
"""What a new CI system costs: a template, and a row in builder/ci/provider.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.ci import provider as table
from builder.ci.provider import CiProvider
from tests.support.one_row import ask_with_row

ROW = """\
    WOODPECKER = (
        "woodpecker",
        CiProviderRow(".woodpecker.yml", "woodpecker.yml", board_line='    - BOARD: "%{board}"'),
    )
"""
TEMPLATE = """\
# Made by: boardwright %{install}
when:
  - event: [push, pull_request, tag]
    branch: "%{branch}"
matrix:
  include:
%{board_lines}
steps:
  - name: build
    image: debian:trixie
    commands:
      - cd "%{tool}" && make .venv/ready && %{check}
      - .venv/bin/boardwright %{install} --check
      - .venv/bin/boardwright ci matrix --boards "%{boards}" --base "$CI_PREV_COMMIT_SHA" > boards.txt
      - if ! grep -qxF "$BOARD" boards.txt; then exit 0; fi
      - .venv/bin/boardwright build "$BOARD" && echo 100%%
"""
"""One that a test needs, and no pipeline for users."""

PROBE = """
import re
import sys
from pathlib import Path

import builder
from tests.support.ci_repository import BOARDS, call, commit, make_boards_only, make_fork
from tests.test_cli import check_error

assert Path(builder.__file__).is_relative_to(sys.argv[1]), "it is the copy"
scratch = Path(sys.argv[2])
install = ("ci", "install", "--provider", "woodpecker")

assert "|woodpecker|" in call("ci", "install", "--help", COLUMNS="200").stdout
assert "'woodpecker'" in call("ci", "install", "--provider", "nosuch", COLUMNS="200").stderr

fork = make_fork(scratch / "fork")
check_error(call(*install, "--check", cwd=fork), 3, "differs from what this program writes", "+# Made by: boardwright")
done = call(*install, cwd=fork)
assert (done.returncode, done.stdout) == (0, f"{fork}/.woodpecker.yml\\n"), done.stderr
text = (fork / ".woodpecker.yml").read_text()
assert re.findall('- BOARD: "(.*)"', text) == [name for name in BOARDS if name != "_base"]
assert "# Made by: boardwright ci install --provider woodpecker\\n" in text
assert 'cd "." && make .venv/ready && make check\\n' in text and "echo 100%\\n" in text
assert "is current" in call(*install, cwd=fork).stderr
(fork / ".woodpecker.yml").write_text(f"{text}# mine\\n")
check_error(call(*install, cwd=fork), 3, "-# mine", "--force")
assert call(*install, "--force", cwd=fork).returncode == 0

base = commit(fork)
commit(fork, ".woodpecker.yml")
matrix = re.search("boardwright (ci matrix .*) --base", text)[1].replace('"', "").split()
assert call(*matrix, "--base", base, cwd=fork).stdout == "", "a CI file is about no board"
commit(fork, "boards/rpi5/README.md")
assert call(*matrix, "--base", base, cwd=fork).stdout == "rpi5\\n"

own = make_boards_only(scratch / "own")
assert call(*install, "--branch", "trunk", cwd=own).returncode == 0
text = (own / ".woodpecker.yml").read_text()
assert "ci install --provider woodpecker --directory .. --branch trunk --check\\n" in text
again = re.search("Made by: boardwright (.*)", text)[1].split()
assert call(*again, "--check", cwd=own / "boardwright", BOARDWRIGHT_BOARDS="../boards").returncode == 0
"""


def test_a_new_ci_system_is_one_row_and_a_template(tmp_path: Path) -> None:
    files = {"ci/woodpecker.yml": TEMPLATE}
    ask_with_row("ci/provider.py", "    TRAVIS = ", ROW, PROBE, tmp_path, files)


@pytest.mark.parametrize("provider", CiProvider)
def test_a_row_is_whole(provider: CiProvider) -> None:
    assert CiProvider(provider.value) is provider
    assert f"{provider}" == provider.value
    assert provider.row.path
    assert (Path(table.__file__).parent / provider.row.template).is_file()


def test_no_template_is_without_a_row() -> None:
    templates = {path.name for path in Path(table.__file__).parent.glob("*.yml")}
    assert templates == {provider.row.template for provider in CiProvider}
