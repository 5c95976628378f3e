# SPDX-License-Identifier: MIT
"""A small foreign rootfs, a redirect without twins, and tools that a test writes."""

from __future__ import annotations

from pathlib import Path

from builder.rootfs.emulation import Emulation, Mode, Sources
from tests.support.foreign import write_foreign

TRIXIE = Sources(
    "trixie",
    "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: trixie\nComponents: main\n"
    "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
)
REDIRECT = Emulation(Mode.REDIRECT, "arm64", "test", Path("/usr/bin/qemu-aarch64-static"), private=True)


def write_tool(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def make_rootfs(rootfs: Path) -> None:
    for name in ("proc", "sys", "dev", "bin"):
        (rootfs / name).mkdir(parents=True)
    for name in ("bin/tool", "bin/other", "usr/bin/dpkg", "usr/bin/dpkg-deb", "usr/bin/python3.13"):
        write_foreign(rootfs / name)
    (rootfs / "bin/alias").symlink_to("tool")
