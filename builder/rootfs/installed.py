# SPDX-License-Identifier: MIT
"""Read the installed packages of a tree from dpkg's database."""

from __future__ import annotations

from pathlib import Path

from builder.errors import RecipeError
from builder.rootfs.model import InstalledPackage
from builder.system.process import run


def read_packages(tree: Path) -> tuple[InstalledPackage, ...]:
    """Return the installed packages of a tree, without running its programs; RecipeError if one is half installed."""
    rows = run(
        [
            "dpkg-query",
            f"--admindir={tree / 'var/lib/dpkg'}",
            "--show",
            "--showformat=${db:Status-Status}\\t${Package}\\t${Version}\\t${Architecture}\\t${Installed-Size}\\n",
        ]
    ).stdout.splitlines()
    fields = [row.split("\t") for row in rows]
    broken = [row[1] for row in fields if row[0] not in ("installed", "config-files", "not-installed")]
    if broken:
        raise RecipeError(f"packages left half installed: {', '.join(broken)}", hint="see the log of the build")
    return tuple(InstalledPackage(row[1], row[2], row[3], int(row[4] or 0)) for row in fields if row[0] == "installed")
