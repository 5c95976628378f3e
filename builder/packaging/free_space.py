# SPDX-License-Identifier: MIT
"""Find the ranges of a disk that its filesystems do not use: the only ranges that a block map may leave out.

A hole in an image file is no sign of free space. Unpacking and copying make holes of zeros that count, such as the
empty entries of a FAT or an ext4's inode tables. On a card that was used before, old bytes would stay there. So the
free blocks are read from the filesystems. Tables, gaps and boot blobs are never among them.
"""

from __future__ import annotations

from pathlib import Path

from builder.disk.partitions import read_table
from builder.disk.region import Region
from builder.filesystems.model import Range
from builder.filesystems.table import DRIVERS, detect_filesystem


def find_unused(raw: Path) -> list[Range]:
    """Return the ranges of a disk that its filesystems do not use, in order; VerifyError for no disk image."""
    unused: list[Range] = []
    for partition in read_table(raw).partitions:
        region = Region(raw, partition.offset_bytes)
        if name := detect_filesystem(region):
            start = region.offset_bytes
            unused += [(first + start, end + start) for first, end in DRIVERS[name].find_free(region)]
    return sorted(unused)
