# SPDX-License-Identifier: MIT
"""The plan: a recipe with all decisions made, as frozen values. Stages use them and decide nothing.

Sizes are bytes unless the name says sectors (512 bytes). A plan cannot know the size of a slot that depends on its
content (`sectors is None`, always the last slot); the image stage computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builder.filesystem import Filesystem
from builder.recipe.expect import Expected
from builder.recipe.model import Recipe


@dataclass(frozen=True)
class Slot:
    """A partition with its position on the disk."""

    number: int
    """Number in the table, from 1."""
    name: str
    filesystem: Filesystem
    start_sector: int
    sectors: int | None
    """Length; None if it is the content plus the margin."""
    margin_bytes: int
    mount: str
    options: str
    label: str
    type_code: str
    """MBR type ("c", "83", "ef") or GPT type UUID, in sfdisk's form."""
    bootable: bool
    partuuid: str
    """Value of PARTUUID=: disk signature and number (0a1b2c3d-02) in an MBR, a UUID in a GPT."""
    fs_id: str
    """Volume id of a FAT (8 hex digits) or UUID of an ext4."""


@dataclass(frozen=True)
class Disk:
    """The partition table with its slots, and the blobs outside them."""

    type: Literal["mbr", "gpt"]
    id: str
    """MBR disk signature (8 hex digits) or GPT disk UUID."""
    slots: tuple[Slot, ...]
    blobs: tuple[BlobPlan, ...]


@dataclass(frozen=True)
class BlobPlan:
    """Raw bytes at an offset of the disk."""

    name: str
    source: Literal["rootfs", "file", "url"]
    location: str
    """Path in the rootfs, path on this machine, or URL."""
    sha256: str | None
    offset_bytes: int
    limit_bytes: int
    holes: tuple[tuple[int, int], ...]
    """Ranges (start, end) of the blob that are not written."""


@dataclass(frozen=True)
class PackagePlan:
    """The packages to install, from archives and as files."""

    names: tuple[str, ...]
    base: tuple[str, ...]
    """The part of `names` that the board shares with its family; it is installed first, as a separate layer."""
    debs: tuple[DebPlan, ...]


@dataclass(frozen=True)
class DebPlan:
    """A .deb that is in no archive."""

    location: str
    """Path on this machine or URL."""
    sha256: str | None


@dataclass(frozen=True)
class Stage:
    """A stage of the chain, with the cache key of its product."""

    name: str
    key: str
    """Hash of all inputs of the product."""
    summary: str
    inputs: Mapping[str, str]
    """Digest of each input of the key, by name, to show which one changed."""


@dataclass(frozen=True)
class Plan:
    """All decisions of one build of one board."""

    board: str
    version: str
    epoch: int
    """SOURCE_DATE_EPOCH: seconds since 1970; no file of the image has a later time."""
    recipe: Recipe
    directories: tuple[Path, ...]
    """The board's directories, ancestors first: their files/ are laid over the rootfs in this order."""
    packages: PackagePlan
    disk: Disk
    kernel_cmdline: str
    """Complete kernel command line, root= included."""
    user_data: Path | None
    """The user's user-data, which replaces the documented example."""
    image_name: str
    """File name of the uncompressed image."""
    steps: tuple[Stage, ...]
    expected: tuple[Expected, ...] = ()
    """Lines of `expect`, with their positions."""
    warnings: tuple[str, ...] = ()
    """Probable mistakes: similar file names, keys that cloud-init ignores."""

    def slot(self, mount: str) -> Slot | None:
        """Return the slot mounted at `mount`, or None."""
        return next((slot for slot in self.disk.slots if slot.mount == mount), None)
