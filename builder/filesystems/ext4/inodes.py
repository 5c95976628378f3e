# SPDX-License-Identifier: MIT
"""Read the superblock of an ext4, and the times in all used inodes.

Only structures in the kernel's documentation are read (Documentation/filesystems/ext4), of a filesystem that mke2fs
has just created with our configuration: blocks of 4096 bytes, inodes of 256, group descriptors of 64. Nothing is
written here: debugfs does that, because it updates the checksums.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from builder.filesystems.target import Target

BLOCK = 4096
INODE_BYTES = 256
DESCRIPTOR_BYTES = 64
ROOT = 2
INODE_UNINIT = 1
"""Group flag: all inodes of the group are unused."""

TIMES = {"atime": (8, 140), "ctime": (12, 132), "mtime": (16, 136), "crtime": (144, 148)}
"""Offsets in an inode of a time's seconds, and of its nanoseconds with two more bits of seconds."""


@dataclass(frozen=True)
class Superblock:
    """Selected fields of a superblock."""

    inodes_per_group: int
    groups: int
    free_blocks: int
    reserved_blocks: int
    free_inodes: int
    written_kib: int
    uuid: str
    label: str

    @property
    def usable_blocks(self) -> int:
        """Free blocks for ordinary users."""
        return max(0, self.free_blocks - self.reserved_blocks)


def read_superblock(target: Target) -> Superblock:
    """Return the superblock, at offset 1024 of a filesystem."""
    raw = target.read(1024, 1024)

    def number(low: int, high: int | None = None) -> int:
        value: int = struct.unpack_from("<I", raw, low)[0]
        return value + (struct.unpack_from("<I", raw, high)[0] << 32 if high else 0)

    return Superblock(
        inodes_per_group=number(40),
        groups=-(-number(4, 336) // number(32)),
        free_blocks=number(12, 344),
        reserved_blocks=number(8, 340),
        free_inodes=number(16),
        written_kib=number(376, 380),
        uuid=str(uuid.UUID(bytes=raw[104:120])),
        label=raw[120:136].rstrip(b"\0").decode(errors="replace"),
    )


def find_corrections(target: Target, epoch: int, *, root_mtime: int) -> list[str]:
    """Return the debugfs commands after which a filesystem depends only on tree and epoch; [] if none are needed.

    The number of KiB ever written depends on caching in e2fsprogs (seen with 1.47.2), so it is set to zero. A time of
    modification is kept unless it is after the epoch. The times of creation, change and access become the epoch; mke2fs
    has already set these for a file that was read since. The root directory gets `root_mtime`, because mke2fs does not
    copy its time.
    """
    commands = ["set_super_value kbytes_written 0"] if read_superblock(target).written_kib else []
    for number, raw in _read_inodes(target):
        modified = min(root_mtime if number == ROOT else _seconds(raw, *TIMES["mtime"]), epoch)
        wanted = {"atime": epoch, "mtime": modified, "ctime": epoch, "crtime": epoch}
        for name, seconds in wanted.items():
            commands += _corrections(number, raw, name, seconds)
    return commands


def _corrections(number: int, raw: bytes, name: str, seconds: int) -> list[str]:
    low, extra = (struct.unpack_from("<I", raw, offset)[0] for offset in TIMES[name])
    wanted_low, wanted_extra = seconds & 0xFFFFFFFF, _extra(seconds)
    if (low, extra) == (wanted_low, wanted_extra):
        return []
    # Some versions of debugfs set both fields with the first command. The second is for the others.
    return [
        f"set_inode_field <{number}> {name} @{seconds}",
        f"set_inode_field <{number}> {name}_extra {wanted_extra}",
    ]


def _seconds(raw: bytes, low: int, extra: int) -> int:
    """Return a time: signed 32 bits, and two more bits for times after 2038."""
    seconds: int = struct.unpack_from("<i", raw, low)[0]
    return seconds + ((raw[extra] & 3) << 32)


def _extra(seconds: int) -> int:
    low = ((seconds + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
    return ((seconds - low) >> 32) & 3


def _read_inodes(target: Target) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of each inode in use."""
    superblock = read_superblock(target)
    descriptors = target.read(BLOCK, superblock.groups * DESCRIPTOR_BYTES)
    for group in range(superblock.groups):
        raw = descriptors[group * DESCRIPTOR_BYTES : (group + 1) * DESCRIPTOR_BYTES]
        flags, unused_low, unused_high = (struct.unpack_from("<H", raw, offset)[0] for offset in (18, 28, 50))
        if flags & INODE_UNINIT:
            continue
        table = struct.unpack_from("<I", raw, 8)[0] + (struct.unpack_from("<I", raw, 40)[0] << 32)
        used = superblock.inodes_per_group - unused_low - (unused_high << 16)
        inodes = target.read(table * BLOCK, used * INODE_BYTES)
        for index in range(used):
            inode = inodes[index * INODE_BYTES : (index + 1) * INODE_BYTES]
            if struct.unpack_from("<H", inode, 0)[0]:  # The mode; 0 in an unused inode.
                yield group * superblock.inodes_per_group + index + 1, inode
