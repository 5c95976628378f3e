# SPDX-License-Identifier: MIT
"""The filesystems an image can hold: a new one is a module with the four functions of Maker and one row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builder.image import ext4, fat32
from builder.image.target import Target
from builder.plan.model import Slot
from builder.recipe.model import Filesystem
from builder.system.workspace import Workspace


class Content(Protocol):
    """What a tree needs of a filesystem."""

    def shortage_bytes(self, size_bytes: int, margin_bytes: int) -> int:
        """Return how much larger than `size_bytes` the filesystem should be at a guess; 0 when it is enough.

        The answer depends on the tree's content alone, not on where or how it is stored.
        """
        ...


@dataclass(frozen=True)
class Maker:
    """How one filesystem is measured, made and checked."""

    measure: Callable[[Path, Workspace], Content]
    """(tree, workspace) → what the tree needs; RecipeError if it cannot be held at all."""
    make: Callable[[Target, Slot, Path, int, Workspace], None]
    """(target, slot, tree, epoch, workspace): make the filesystem and fill it."""
    check: Callable[[Target, Slot], None]
    """Raise VerifyError unless the filesystem is sound and has the slot's id and label."""
    free_bytes: Callable[[Target], int]
    """Room left for users' files."""


MAKERS = {
    Filesystem.EXT4: Maker(ext4.measure, ext4.make, ext4.check, ext4.free_bytes),
    Filesystem.FAT32: Maker(fat32.measure, fat32.make, fat32.check, fat32.free_bytes),
}
