# SPDX-License-Identifier: MIT
"""A private APT: a directory with indexes and settings of its own, in the place of this machine's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.rootfs.apt.auth import render_option

DIRECTORIES = (
    *("etc/apt/sources.list.d", "etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/dpkg"),
    *("var/lib/apt/lists/partial", "var/cache/apt/archives/partial"),
)


def make_root(root: Path, *, architectures: Sequence[str], sources: str, options: Sequence[str]) -> dict[str, str]:
    """Make the directory, in which nothing is installed, and return the environment that leads APT there.

    architectures  Debian's names, the native one first
    sources        what is in its sources.list.d, as deb822
    options        more lines of apt.conf, without the semicolon
    """
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").touch()
    (root / "etc/apt/sources.list.d/target.sources").write_text(sources, encoding="utf-8")
    quoted = " ".join(f'"{name}";' for name in architectures)
    lines = (
        f'Dir "{root}"',
        f'Dir::State::status "{root}/var/lib/dpkg/status"',
        f'APT::Architecture "{architectures[0]}"',
        f"APT::Architectures {{ {quoted} }}",
        'APT::Sandbox::User "root"',
        render_option(),
        *options,
    )
    (root / "apt.conf").write_text("".join(f"{line};\n" for line in lines), encoding="utf-8")
    return {"APT_CONFIG": str(root / "apt.conf")}
