# SPDX-License-Identifier: MIT
"""Join the filesystems of a system into one tree, as when all are mounted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from builder.disk.entry import Entry
from builder.disk.filetree import FileTree
from builder.disk.mounts import Mounts


@dataclass(frozen=True)
class MountedPart:
    """A filesystem, and where it is mounted."""

    mount: str
    is_fat: bool
    read: Callable[[str], Iterable[Entry]]
    """Returns its entries with their paths below a mount point."""


def join(parts: Iterable[MountedPart]) -> FileTree:
    """Return the tree of all filesystems.

    The system cannot read what an outer filesystem has below the mount point of an inner one. Those paths are not in
    the tree, but in its `mounts.hidden`.
    """
    tree, hidden, missing = FileTree([]), list[str](), list[str]()
    for part in sorted(parts, key=lambda part: part.mount):  # An outer one first.
        mount_entry = tree.find(part.mount)
        is_directory = mount_entry is not None and mount_entry.kind == "directory"
        if not is_directory and tree.entries:
            missing.append(part.mount)
        top = mount_entry.path if mount_entry else part.mount  # mount(8) follows links, as every program does.
        covered = {top, *(entry.path for entry in tree.below(top))}
        hidden += sorted(covered - {top})
        visible = (entry for path, entry in tree.entries.items() if path not in covered)
        fats = {**tree.mounts.fats, top: part.is_fat}
        tree = FileTree([*visible, *part.read(top)], Mounts(fats, tuple(hidden), tuple(missing)))
    return tree
