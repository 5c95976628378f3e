# SPDX-License-Identifier: MIT
"""The finished rootfs in a board's room: its trees, and beside them what they are.

ROOM/rootfs/root           the tree of "/"
ROOM/rootfs/boot-firmware  the tree of /boot/firmware, and so on
ROOM/rootfs/made.json      the key they were made by, their mount points and packages
"""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

from builder.errors import MachineError
from builder.rootfs.model import Package, Rootfs

RECORD = "made.json"


def tree_name(mount: str) -> str:
    """Return the directory name of the tree of a mount point."""
    return mount.strip("/").replace("/", "-") or "root"


def write_kept(directory: Path, key: str, rootfs: Rootfs) -> None:
    """Write what the trees in `directory` are."""
    record = {
        "key": key,
        "trees": {mount: tree.name for mount, tree in rootfs.trees.items()},
        "packages": [astuple(package) for package in rootfs.packages],
    }
    (directory / RECORD).write_text(json.dumps(record), encoding="utf-8")


def find_kept(directory: Path) -> tuple[str, Rootfs] | None:
    """Return the key and the trees in `directory`, or None when no build has finished there."""
    record = directory / RECORD
    if not record.is_file():
        return None
    kept = json.loads(record.read_text(encoding="utf-8"))
    trees = {mount: directory / name for mount, name in kept["trees"].items()}
    return kept["key"], Rootfs(trees, tuple(Package(*row) for row in kept["packages"]))


def load_kept(directory: Path, board: str) -> Rootfs:
    """Return the trees of a board's last build; MachineError when there is none."""
    kept = find_kept(directory)
    if kept is None:
        raise MachineError(
            f"board {board} has no finished rootfs here", hint=f"build it first: boardwright build {board}"
        )
    return kept[1]
