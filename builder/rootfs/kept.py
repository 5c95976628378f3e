# SPDX-License-Identifier: MIT
"""The finished rootfs in a board's room: its trees, and beside them what they are and what they were made from.

ROOM/rootfs/root           the tree of "/"
ROOM/rootfs/boot-firmware  the tree of /boot/firmware, and so on
ROOM/rootfs/made.json      their origin, mount points, packages, and one digest of all names, modes, sizes and times

That digest finds what is missing, cut short or was written into since, in half a second; it does not read the files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from builder.errors import MachineError
from builder.rootfs.model import Package, Rootfs
from builder.rootfs.origin import Origin

RECORD = "made.json"


@dataclass(frozen=True)
class Kept:
    """A rootfs in a room; without an origin it may be entered, but not be taken for a build."""

    rootfs: Rootfs
    origin: Origin | None
    digest: str


def tree_name(mount: str) -> str:
    """Return the directory name of the tree of a mount point."""
    return mount.strip("/").replace("/", "-") or "root"


def write_kept(directory: Path, rootfs: Rootfs, origin: Origin | None) -> None:
    """Write what the trees in `directory` are."""
    record = {
        "trees": {mount: tree.name for mount, tree in rootfs.trees.items()},
        "packages": [astuple(package) for package in rootfs.packages],
        "origin": {"inputs": dict(origin.inputs), "packages": dict(origin.packages)} if origin else None,
        "digest": digest_trees(directory),
    }
    (directory / RECORD).write_text(json.dumps(record), encoding="utf-8")


def find_kept(directory: Path) -> Kept | None:
    """Return what is in `directory`, or None when no build has finished there."""
    try:
        record: dict[str, Any] = json.loads((directory / RECORD).read_text(encoding="utf-8"))
        trees = {mount: directory / name for mount, name in record["trees"].items()}
        rootfs = Rootfs(trees, tuple(Package(*row) for row in record["packages"]))
        origin = Origin(**record["origin"]) if record.get("origin") else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):  # Cut short by a crash of the machine.
        return None
    return Kept(rootfs, origin, str(record.get("digest", "")))


def load_kept(directory: Path, board: str) -> Rootfs:
    """Return the trees of a board's last build; MachineError when there is none."""
    kept = find_kept(directory)
    if kept is None:
        raise MachineError(
            f"board {board} has no finished rootfs here", hint=f"build it first: boardwright build {board}"
        )
    return kept.rootfs


def digest_trees(directory: Path) -> str:
    """Return one digest of the name, kind, mode, owner, size, time and link target of all that is in the trees."""
    state = hashlib.sha256()
    for line in _describe(str(directory), ""):
        state.update(line.encode(errors="surrogateescape"))
    return state.hexdigest()


def _describe(path: str, name: str) -> Iterator[str]:
    with os.scandir(path) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        if not name and entry.name == RECORD:
            continue
        here = f"{name}/{entry.name}"
        stat = entry.stat(follow_symlinks=False)
        is_directory = entry.is_dir(follow_symlinks=False)
        size = 0 if is_directory else stat.st_size
        link = os.readlink(entry.path) if entry.is_symlink() else ""  # noqa: PTH115 - 25,000 files: Path costs seconds
        yield f"{here}\0{stat.st_mode}\0{stat.st_uid}\0{stat.st_gid}\0{size}\0{int(stat.st_mtime)}\0{link}\0\n"
        if is_directory:
            yield from _describe(entry.path, here)
