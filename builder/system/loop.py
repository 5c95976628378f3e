# SPDX-License-Identifier: MIT
"""Loop devices: find a free one, and create missing device nodes, as in containers (linux/loop.h)."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

CONTROL = Path("/dev/loop-control")
LOOP_CTL_GET_FREE = 0x4C82
"""ioctl of /dev/loop-control: make sure that a free device exists, return its number."""


def find_free() -> str:
    """Return the name of a free loop device ("loop7"); OSError if loop devices cannot be used."""
    control = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        return f"loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}"
    finally:
        os.close(control)


def loop_node(name: str) -> Path:
    """Return the node of a loop device; create it if missing, as in a container that is newer than the device."""
    node = Path("/dev", name)
    if not node.exists():
        major, minor = Path(f"/sys/block/{name}/dev").read_text(encoding="ascii").split(":")
        os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(int(major), int(minor)))
    return node
