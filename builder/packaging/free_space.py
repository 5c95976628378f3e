# SPDX-License-Identifier: MIT
"""What of a disk its filesystems do not use: the only part that a block map may leave out.

A hole in an image file says nothing: unpacking and copying make holes of zeros that count, such as the empty entries
of a FAT or an ext4's inode tables. On a card that was used before, old bytes would stay there. So the filesystems are
asked which blocks are free. Tables, gaps and boot blobs are never among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder.disk.partitions import read_table
from builder.disk.region import Region
from builder.filesystems.ext4.read import is_ext4
from builder.filesystems.fat32.read import find_free, is_fat32
from builder.system.process import run

READ_S = 60.0
"""For dumpe2fs, which takes a second for a card of 64 GiB."""

Range = tuple[int, int]
"""Start and end in bytes from the start of the disk; the end is not in it."""


def find_unused(raw: Path) -> list[Range]:
    """Return the ranges of a disk that are free in an ext4 or a FAT32, in order; VerifyError for no disk image."""
    found: list[Range] = []
    for partition in read_table(raw).partitions:
        place = Region(raw, partition.offset_bytes)
        if is_ext4(place):
            found += _shift(_free_in_ext4(place), place)
        elif is_fat32(place):
            found += _shift(find_free(place), place)
    return sorted(found)


def _shift(ranges: Iterable[Range], place: Region) -> Iterator[Range]:
    return ((start + place.offset_bytes, end + place.offset_bytes) for start, end in ranges)


def _free_in_ext4(place: Region) -> Iterator[Range]:
    report = run(["dumpe2fs", place.for_e2fsprogs], timeout_s=READ_S).stdout
    size = re.search(r"^Block size: +(\d+)", report, re.MULTILINE)
    block = int(size[1]) if size else 0
    for line in re.findall(r"^  Free blocks: (.+)$", report, re.MULTILINE):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", line):
            yield int(first) * block, (int(last or first) + 1) * block
