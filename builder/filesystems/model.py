# SPDX-License-Identifier: MIT
"""A filesystem: the functions that read it from an image, make it and check it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builder.disk.entry import Entry
from builder.disk.region import Region
from builder.filesystems.target import Target
from builder.plan.model import Slot
from builder.system.process import Result
from builder.system.workspace import Workspace

Range = tuple[int, int]
"""Start and end in bytes; the end is not in it."""


@dataclass(frozen=True)
class FilesystemFacts:
    """Properties of a filesystem, from its own headers."""

    kind: str
    """Name in a recipe (fat32, ext4), or what else is there."""
    id: str
    label: str
    size_bytes: int
    free_bytes: int
    """Free space for users' files."""


class Content(Protocol):
    """The space that a tree needs on a filesystem."""

    def shortage_bytes(self, size_bytes: int, margin_bytes: int) -> int:
        """Estimate how many bytes a filesystem of `size_bytes` is too small; 0 if it is large enough.

        The result depends only on the tree's content, not on how it is stored on this machine.
        """
        ...


@dataclass(frozen=True)
class FilesystemDriver:
    """Functions for one filesystem.

    Those that read raise VerifyError for a damaged filesystem. They check each number, because an image may come from
    anywhere.
    """

    detect: Callable[[Region], bool]
    """Return whether a region begins with this filesystem."""
    read_facts: Callable[[Region], FilesystemFacts]
    """Return what its headers say, also of a damaged one."""
    read_entries: Callable[[Region, str], list[Entry]]
    """(region, mount point) → everything in it by its path in the system, each directory before its content."""
    read_file: Callable[[Region, str, int], tuple[bytes, int] | None]
    """(region, path from its root, most bytes) → first bytes of a file and its time of modification; None without it.

    Links on the way are not followed.
    """
    find_free: Callable[[Region], Iterable[Range]]
    """Return the ranges that it does not use, from the start of the region."""
    fsck: Callable[[Region, int, Path], Result]
    """(region, its length in bytes, path for a copy) → result of the checking program."""
    measure: Callable[[Path, Workspace], Content]
    """(tree, workspace) → space that the tree needs; RecipeError if the filesystem cannot store it."""
    make: Callable[[Target, Slot, Path, int, Workspace], None]
    """(target, slot, tree, epoch, workspace): create the filesystem and fill it."""
    check: Callable[[Target, Slot], None]
    """Raise VerifyError unless the filesystem is intact and has the slot's id and label."""
