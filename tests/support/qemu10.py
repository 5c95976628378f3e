# SPDX-License-Identifier: MIT
"""A QEMU that has the machines our boards name. Debian 12's lacks some; Debian 13's runs beside it, from a tree."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from builder.system.process import run

NEEDED = (10, 0)
PROGRAMS = ("qemu-system-arm", "qemu-system-aarch64", "qemu-system-riscv64")
PACKAGES = ("qemu-system-arm", "qemu-system-misc", "qemu-system-data", "opensbi")
LIBRARIES = "usr/lib/x86_64-linux-gnu"


def find_qemu(place: Path) -> Path:
    """Return a directory of programs that are new enough: this machine's own, or ones made in `place`."""
    own = shutil.which(PROGRAMS[0])
    if own and shutil.which(PROGRAMS[2]) and _version_of(own) >= NEEDED:
        return Path(own).parent
    tree = place / "qemu"
    words: list[str | Path] = [
        "mmdebstrap",
        "--quiet",
        "--variant=extract",
        f"--include={','.join(PACKAGES)}",
        "trixie",
        tree,
    ]
    run([*words, "http://deb.debian.org/debian"])
    programs = place / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        loader = (
            f"{tree}/usr/lib64/ld-linux-x86-64.so.2 --library-path {tree}/{LIBRARIES}:{tree}/{LIBRARIES}/pulseaudio"
        )
        command = f'exec {loader} {tree}/usr/bin/{name} -L {tree}/usr/share/qemu "$@"'
        script = f"#!/bin/sh\nexport QEMU_MODULE_DIR={tree}\n{command}\n"
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    assert _version_of(programs / PROGRAMS[0]) >= NEEDED
    return programs


def _version_of(program: str | Path) -> tuple[int, ...]:
    found = re.search(r"version (\d+)\.(\d+)", run([program, "--version"]).stdout)
    assert found
    return tuple(map(int, found.groups()))
