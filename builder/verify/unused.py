# SPDX-License-Identifier: MIT
"""What of a disk its filesystems do not use: the only part that a block map may leave out.

A hole in an image file says nothing: unpacking and copying make holes of zeros that count, such as the empty entries
of a FAT or an ext4's inode tables. On a card that was used before, old bytes would stay there. So the filesystems are
asked which blocks are free. Tables, gaps and boot blobs are never among them.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder.run import run
from builder.units import SECTOR
from builder.verify.ext4 import is_ext4
from builder.verify.fat import is_fat32
from builder.verify.partitions import read_table
from builder.verify.place import Place

FREE = 0x0FFFFFFF
"""The bits of a FAT32 entry that are its value; zero means free (Microsoft's fatgen103)."""
FIRST_CLUSTER = 2

Range = tuple[int, int]
"""Start and end in bytes from the start of the disk; the end is not in it."""


def find_unused(raw: Path) -> list[Range]:
    """Return the ranges of a disk that are free in an ext4 or a FAT32, in order; VerifyError for no disk image."""
    found: list[Range] = []
    for partition in read_table(raw).partitions:
        place = Place(raw, partition.offset_bytes)
        if is_ext4(place):
            found += _shift(_free_in_ext4(place), place)
        elif is_fat32(place):
            found += _shift(_free_in_fat32(place), place)
    return sorted(found)


def _shift(ranges: Iterable[Range], place: Place) -> Iterator[Range]:
    return ((start + place.offset_bytes, end + place.offset_bytes) for start, end in ranges)


def _free_in_ext4(place: Place) -> Iterator[Range]:
    said = run(["dumpe2fs", place.for_debugfs]).stdout
    size = re.search(r"^Block size: +(\d+)", said, re.MULTILINE)
    block = int(size[1]) if size else 0
    for line in re.findall(r"^  Free blocks: (.+)$", said, re.MULTILINE):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", line):
            yield int(first) * block, (int(last or first) + 1) * block


def _free_in_fat32(place: Place) -> Iterator[Range]:
    boot = place.read(0, SECTOR)
    cluster_bytes = boot[13] * SECTOR
    reserved, copies = struct.unpack_from("<HB", boot, 14)
    sectors, table_sectors = struct.unpack_from("<II", boot, 32)
    data = (reserved + copies * table_sectors) * SECTOR
    clusters = (sectors * SECTOR - data) // cluster_bytes
    entries = array("I", place.read(reserved * SECTOR, (clusters + FIRST_CLUSTER) * 4))
    begin = None
    for number in range(FIRST_CLUSTER, clusters + FIRST_CLUSTER + 1):
        is_free = number < clusters + FIRST_CLUSTER and not entries[number] & FREE
        if is_free and begin is None:
            begin = number
        elif not is_free and begin is not None:
            yield data + (begin - FIRST_CLUSTER) * cluster_bytes, data + (number - FIRST_CLUSTER) * cluster_bytes
            begin = None
