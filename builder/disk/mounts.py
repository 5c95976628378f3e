# SPDX-License-Identifier: MIT
"""The mount points of a system, and their effect on the paths below.

A mount hides what the directory had before. In a FAT, names are compared without case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from builder.system.paths import fold_name


@dataclass(frozen=True)
class Mounts:
    """The mount points of a tree."""

    fats: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    """Each mount point, links on the way to it followed, and whether there is a FAT."""
    hidden: tuple[str, ...] = ()
    """Paths that another filesystem has below a mount point: no program of the system can open them."""
    missing: tuple[str, ...] = ()
    """Mount points without a directory."""

    @cached_property
    def _tops(self) -> tuple[tuple[str, bool], ...]:
        """The mount points, an inner one before the one it is in."""
        return tuple((f"{top.rstrip('/')}/", self.fats[top]) for top in sorted(self.fats, reverse=True))

    @cached_property
    def _of_fats(self) -> tuple[str, ...]:
        return tuple(top for top, is_fat in self._tops if is_fat)

    def is_fat(self, path: str) -> bool:
        """Say whether a path lies below the mount point of a FAT."""
        if not path.startswith(self._of_fats):  # Of most paths this is all that is asked.
            return False
        return next(is_fat for top, is_fat in self._tops if path.startswith(top))

    def fold(self, path: str) -> str:
        """Return a path as it is compared: in a FAT in lower case.

        Linux and boot loaders open /boot/firmware's USER-DATA as user-data too (mount(8), vfat).
        """
        if not self.is_fat(path):
            return path
        top = next(top for top, _ in self._tops if path.startswith(top))
        return top + fold_name(path[len(top) :])
