# SPDX-License-Identifier: MIT
"""Reading ext4: the superblock, and the times in every inode that is in use.

Only what the kernel's documentation fixes is read (Documentation/filesystems/ext4), from a filesystem that mke2fs
just made with our configuration: blocks of 4096 bytes, inodes of 256, group descriptors of 64. Nothing is written
here: debugfs does that, because it knows the checksums.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from builder.image.target import Target

BLOCK = 4096
INODE_BYTES = 256
DESCRIPTOR_BYTES = 64
ROOT = 2
INODE_UNINIT = 1
"""Group flag: no inode of the group is in use."""

TIMES = {"atime": (8, 140), "ctime": (12, 132), "mtime": (16, 136), "crtime": (144, 148)}
"""Where an inode has the seconds of a time, and the nanoseconds with two more bits of seconds."""


@dataclass(frozen=True)
class Superblock:
    """What we want to know of a filesystem."""

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
        """Free blocks that ordinary users may fill."""
        return max(0, self.free_blocks - self.reserved_blocks)


def read_superblock(target: Target) -> Superblock:
    """Return the superblock, 1024 bytes into a filesystem."""
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
    """Return the debugfs commands that make a filesystem follow from the tree and the epoch; none when it does.

    How much was ever written into it depends on how e2fsprogs cached (seen with 1.47.2), so that is set to zero.
    The time of modification stays unless it is after the epoch; an inode is made, changed and read at the epoch, as
    mke2fs has it already for a file that was read since. The root directory's time comes from `root_mtime`: mke2fs
    does not copy it.
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
    # Some versions of debugfs set both fields with the first command; the second makes sure.
    return [
        f"set_inode_field <{number}> {name} @{seconds}",
        f"set_inode_field <{number}> {name}_extra {wanted_extra}",
    ]


def _seconds(raw: bytes, low: int, extra: int) -> int:
    """Return a time: 32 bits with a sign, and two more bits that count on from 2038."""
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
            if struct.unpack_from("<H", inode, 0)[0]:  # Its mode; 0 in an inode that is not in use.
                yield group * superblock.inodes_per_group + index + 1, inode
