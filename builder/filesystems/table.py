# SPDX-License-Identifier: MIT
"""A filesystem as its own headers describe it, and what the checkers say of it."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

from builder.disk.region import Region
from builder.filesystems.ext4.read import is_ext4
from builder.filesystems.fat32.boot_sector import read_boot_sector, read_free_bytes
from builder.filesystems.fat32.read import is_fat32
from builder.system.process import Result, run
from builder.system.sparse import copy_range
from builder.text import make_line
from builder.units import SECTOR


@dataclass(frozen=True)
class FilesystemFacts:
    """What a filesystem says of itself."""

    kind: str
    """fat32, ext4, or what else is there."""
    id: str
    label: str
    size_bytes: int
    free_bytes: int
    """Room for users' files."""


def read_facts(place: Region) -> FilesystemFacts:
    """Return the facts of the filesystem at a place."""
    if is_ext4(place):
        return _read_ext4(place)
    return _read_fat32(place) if is_fat32(place) else FilesystemFacts("unknown", "", "", 0, 0)


def _read_ext4(place: Region) -> FilesystemFacts:
    """The superblock (Documentation/filesystems/ext4/super.rst). It is described also where ext4_super refuses it."""
    raw = place.read(1024, 1024).ljust(1024, b"\0")

    def number(low: int, high: int) -> int:
        value: int = struct.unpack_from("<I", raw, low)[0]
        return value + (struct.unpack_from("<I", raw, high)[0] << 32 if has_64bit else 0)

    incompatible = struct.unpack_from("<I", raw, 96)[0]
    has_64bit = bool(incompatible & 0x80)
    block = 1024 << min(struct.unpack_from("<I", raw, 24)[0], 6)
    free = max(0, number(12, 344) - number(8, 340)) * block
    kind = "ext4" if incompatible & 0x40 else "ext2 or ext3"
    label = raw[120:136].partition(b"\0")[0].decode(errors="replace")
    return FilesystemFacts(kind, str(uuid.UUID(bytes=raw[104:120])), make_line(label), number(4, 336) * block, free)


def _read_fat32(region: Region) -> FilesystemFacts:
    boot = read_boot_sector(region)
    free = read_free_bytes(region, boot)
    return FilesystemFacts("fat32", boot.volume_id, make_line(boot.label), boot.sectors * SECTOR, free)


def check_filesystem(place: Region, size_bytes: int, copy: Path) -> Result:
    """Return what fsck says; fsck.vfat knows no offset, so it gets a sparse copy."""
    if not is_fat32(place):
        return run(["e2fsck", "-f", "-n", place.for_e2fsprogs], ok=range(256))
    with place.path.open("rb") as source, copy.open("wb") as target:
        copy_range(source.fileno(), target.fileno(), place.offset_bytes, place.offset_bytes + size_bytes)
    try:
        return run(["fsck.vfat", "-n", copy], ok=range(256))
    finally:
        copy.unlink()
