# SPDX-License-Identifier: MIT
"""What of this machine and of this program decides a product: versions of tools, a digest of our own code."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from builder.run import run

HERE = Path(__file__).parent
KINDS = (".py", ".c", ".yaml")


@cache
def digest_code(*places: str) -> str:
    """Return one digest of modules and folders of this package, or beside it: digest_code("rootfs", "../specs")."""
    state = hashlib.sha256()
    for place in places:
        path = HERE / place
        files = sorted(file for file in path.iterdir() if file.suffix in KINDS) if path.is_dir() else [path]
        for file in files:
            state.update(file.name.encode() + b"\0" + file.read_bytes())
    return state.hexdigest()[:16]


def find_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Debian packages by "tool NAME"; nothing for one that is not installed."""
    row = "${Package} ${Version}\\n"
    installed = run(["dpkg-query", "--show", f"--showformat={row}", *packages], ok=(0, 1)).stdout
    versions = dict(line.split(" ", 1) for line in installed.splitlines())
    return {f"tool {package}": versions.get(package, "") for package in packages}
