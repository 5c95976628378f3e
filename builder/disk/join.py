# SPDX-License-Identifier: MIT
"""The filesystems of a system put into one tree, as they are seen when all are mounted."""

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
    """Returns what is in it, each by its path below a mount point."""


def join(parts: Iterable[MountedPart]) -> FileTree:
    """Return the tree of all filesystems. What an outer one has below the mount point of an inner one is not in it, but
    in `mounts.hidden` of the tree: the system does not see it."""
    tree, hidden, missing = FileTree([]), list[str](), list[str]()
    for part in sorted(parts, key=lambda part: part.mount):  # An outer one first.
        there = tree.find(part.mount)
        is_directory = there is not None and there.kind == "directory"
        if not is_directory and tree.entries:
            missing.append(part.mount)
        top = there.path if there else part.mount  # mount(8) follows links, as every program does.
        covered = {top, *(entry.path for entry in tree.below(top))}
        hidden += sorted(covered - {top})
        kept = (entry for path, entry in tree.entries.items() if path not in covered)
        fats = {**tree.mounts.fats, top: part.is_fat}
        tree = FileTree([*kept, *part.read(top)], Mounts(fats, tuple(hidden), tuple(missing)))
    return tree
