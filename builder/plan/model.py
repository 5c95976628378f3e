# SPDX-License-Identifier: MIT
"""The plan: a recipe with every decision taken. Frozen values; stages take them and decide nothing.

Sizes are bytes unless the name says sectors (512 bytes). The only thing a plan cannot know is the size of a slot
that is as large as its content (`sectors is None`, always the last one): the image stage fills it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builder.recipe.expect import Expected
from builder.recipe.model import Filesystem, Recipe


@dataclass(frozen=True)
class Slot:
    """A partition in its place."""

    number: int
    """1, 2, … as in the table."""
    name: str
    filesystem: Filesystem
    start_sector: int
    sectors: int | None
    """Length; None for content plus margin."""
    margin_bytes: int
    mount: str
    options: str
    label: str
    type_code: str
    """MBR type ("c", "83", "ef") or GPT type UUID, as sfdisk takes it."""
    bootable: bool
    partuuid: str
    """What PARTUUID= says: disk signature and number (0a1b2c3d-02) in an MBR, a UUID in a GPT."""
    fs_id: str
    """Volume id of a FAT (8 hex digits) or UUID of an ext4."""


@dataclass(frozen=True)
class Disk:
    """The partition table and what lies beside it."""

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
    """What is installed, and from where."""

    names: tuple[str, ...]
    base: tuple[str, ...]
    """Those of `names` that the board shares with its family: they are installed first, as a layer of their own."""
    debs: tuple[DebPlan, ...]


@dataclass(frozen=True)
class DebPlan:
    """One .deb outside any archive."""

    location: str
    """Path on this machine or URL."""
    sha256: str | None


@dataclass(frozen=True)
class Step:
    """A stage of the chain and the key that its product is known by."""

    name: str
    key: str
    """Hash of everything that decides the product."""
    summary: str
    inputs: Mapping[str, str]
    """Digest of each thing that goes into the key, by name, to say which one changed."""


@dataclass(frozen=True)
class Plan:
    """Every decision of one build of one board."""

    board: str
    version: str
    epoch: int
    """SOURCE_DATE_EPOCH: seconds since 1970 that no file of the image is younger than."""
    recipe: Recipe
    directories: tuple[Path, ...]
    """The board's directories, ancestors first: their files/ are laid over the rootfs in this order."""
    packages: PackagePlan
    disk: Disk
    kernel_cmdline: str
    """Complete kernel command line, root= included."""
    user_data: Path | None
    """The user's own user-data instead of the documented example."""
    image_name: str
    """File name of the uncompressed image."""
    steps: tuple[Step, ...]
    expected: tuple[Expected, ...] = ()
    """What the recipe allows besides, with the place of each line."""
    warnings: tuple[str, ...] = ()
    """What is likely not meant: names that are nearly right, keys that cloud-init ignores."""

    def slot(self, mount: str) -> Slot | None:
        """Return the slot mounted at `mount`, or None."""
        return next((slot for slot in self.disk.slots if slot.mount == mount), None)
