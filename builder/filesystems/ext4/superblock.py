# SPDX-License-Identifier: MIT
"""The superblock of an ext filesystem (Documentation/filesystems/ext4): its sizes, checked, and whether it can be read
as it is.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass

from builder.disk.region import Region
from builder.disk.walk import damaged
from builder.errors import VerifyError
from builder.filesystems.model import FilesystemFacts
from builder.text import make_line
from builder.units import KIB

MAGIC = b"\x53\xef"
"""At byte 1080 of every ext filesystem."""
READ_FEATURES = 0x2 | 0x40 | 0x80 | 0x100 | 0x200 | 0x2000 | 0x4000
"""filetype, extent, 64bit, mmp, flex_bg, metadata_csum_seed, large_dir."""
HAS_64BIT = 0x80
NEEDS_RECOVERY, ORPHAN_PRESENT = 0x4, 0x10000
"""Of the incompatible features, and of those that forbid to write."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a superblock, checked."""

    block: int
    inode: int
    inodes: int
    inodes_per_group: int
    descriptor: int
    first_block: int
    end_bytes: int
    """Of the filesystem and the image, where the first of them ends."""


def read_sizes(raw: bytes, room: int) -> Sizes:
    """Return the sizes of a superblock; VerifyError for an invalid one, or a filesystem that is not read here.

    raw   the 1024 bytes of it
    room  bytes from the start of the filesystem to the end of the image
    """
    if len(raw) < 1024 or raw[56:58] != MAGIC:
        raise damaged("ext4", "it has no superblock")
    (inodes, blocks, first, log_block, per_group) = (
        struct.unpack_from("<I", raw, offset)[0] for offset in (0, 4, 20, 24, 40)
    )
    incompatible = struct.unpack_from("<I", raw, 96)[0]
    _check_features(raw, incompatible)
    has_64bit = bool(incompatible & HAS_64BIT)
    inode, descriptor = struct.unpack_from("<H", raw, 88)[0], struct.unpack_from("<H", raw, 254)[0]
    descriptor = descriptor if has_64bit else 32
    blocks += struct.unpack_from("<I", raw, 336)[0] << 32 if has_64bit else 0
    block = KIB << log_block if log_block <= 6 else 0
    if not block or inode not in range(128, block + 1) or inode & (inode - 1):
        raise damaged("ext4", f"blocks of 2^{log_block} KiB and inodes of {inode} bytes cannot be")
    if not per_group or descriptor not in range(32, 65) or not inodes:
        raise damaged("ext4", "its superblock has no sizes of groups")
    return Sizes(block, inode, inodes, per_group, descriptor, first, min(blocks * block, room))


def read_facts(region: Region) -> FilesystemFacts:
    """Return what a superblock says of its filesystem, also where read_sizes refuses it."""
    raw = region.read(1024, 1024).ljust(1024, b"\0")

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


def _check_features(raw: bytes, incompatible: int) -> None:
    """Raise VerifyError for a filesystem that is not read here, and for one that Linux changes when it mounts it.

    Linux replays the journal, and removes deleted files that a program had open. The content that is read here would
    differ from the content that the system reads.
    """
    if unread := incompatible & ~(READ_FEATURES | NEEDS_RECOVERY):
        raise VerifyError(
            f"the ext4 has features that are not read here (0x{unread:x}); builds use none of them",
            hint="name an image that `boardwright build` made",
        )
    read_only, last_orphan = (struct.unpack_from("<I", raw, offset)[0] for offset in (0x64, 0xE8))
    if incompatible & NEEDS_RECOVERY or last_orphan or read_only & ORPHAN_PRESENT:
        raise VerifyError(
            "the ext4 was not unmounted: its journal or its list of deleted files will change it at the next mount",
            hint="shut the board down before its card is copied, or run e2fsck -p on a copy; or build the image again",
        )
