# SPDX-License-Identifier: MIT
"""Table of filesystems for images. A new one is a module with the four functions of Maker, and one row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builder.filesystems.ext4 import make as ext4
from builder.filesystems.fat32 import make as fat32
from builder.filesystems.target import Target
from builder.plan.model import Slot
from builder.recipe.model import Filesystem
from builder.system.workspace import Workspace


class Content(Protocol):
    """The space that a tree needs on a filesystem."""

    def shortage_bytes(self, size_bytes: int, margin_bytes: int) -> int:
        """Estimate how many bytes a filesystem of `size_bytes` is too small; 0 if it is large enough.

        The result depends only on the tree's content, not on how it is stored on this machine.
        """
        ...


@dataclass(frozen=True)
class Maker:
    """Functions that measure, create and check one filesystem."""

    measure: Callable[[Path, Workspace], Content]
    """(tree, workspace) → space that the tree needs; RecipeError if the filesystem cannot store it."""
    make: Callable[[Target, Slot, Path, int, Workspace], None]
    """(target, slot, tree, epoch, workspace): create the filesystem and fill it."""
    check: Callable[[Target, Slot], None]
    """Raise VerifyError unless the filesystem is intact and has the slot's id and label."""
    free_bytes: Callable[[Target], int]
    """Return the free bytes for users' files."""


MAKERS = {
    Filesystem.EXT4: Maker(ext4.measure, ext4.make, ext4.check, ext4.free_bytes),
    Filesystem.FAT32: Maker(fat32.measure, fat32.make, fat32.check, fat32.free_bytes),
}
