# SPDX-License-Identifier: MIT
"""Positions of a recipe's partitions and blobs on the disk, as ranges.

Partitions lie in the order given, each at its explicit start or at the next 1 MiB boundary. Sectors have 512 bytes.
The formats define the ranges of the partition table. A PC boot sector has boot code at bytes 0-439, the disk signature
at 440-445, the table at 446-509 and its mark at 510-511. A GPT takes a protective MBR, a header and 32 sectors of
entries at the start, and 33 sectors at the end (UEFI specification 2.10, 5.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from builder.recipe.model import Blob, Table
from builder.units import MIB, SECTOR, align_up, load_size

ALIGNMENT_SECTORS = MIB // SECTOR
TABLE_BYTES = {"mbr": (440, 512), "gpt": (0, 34 * SECTOR)}
"""Bytes of the table at the start of the disk: first byte and end."""
FIRST_SECTOR = {"mbr": 1, "gpt": 34}
"""First sector that a partition may have."""
BACKUP_SECTORS = {"mbr": 0, "gpt": 33}
"""Sectors of the table's copy at the end of the disk."""


@dataclass(frozen=True)
class Extent:
    """The sectors of a partition; `sectors` is None if the size depends on the content."""

    start_sector: int
    sectors: int | None

    @property
    def end_sector(self) -> int | None:
        """First sector behind the partition, or None."""
        return None if self.sectors is None else self.start_sector + self.sectors


def place_partitions(table: Table) -> tuple[Extent, ...]:
    """Return the sectors of each partition. Overlaps are not checked here."""
    extents: list[Extent] = []
    free_sector = ALIGNMENT_SECTORS
    for partition in table.partitions:
        start = align_up(free_sector, ALIGNMENT_SECTORS)
        if partition.start is not None:
            start = load_size(partition.start) // SECTOR
        sectors = None if partition.size == "auto" else load_size(partition.size) // SECTOR
        extents.append(Extent(start, sectors))
        free_sector = start + (sectors or 0)
    return tuple(extents)


def written_ranges(blob: Blob) -> list[tuple[int, int]]:
    """Return the disk's bytes that a blob may write (first byte and end): its range without the holes."""
    start = load_size(blob.offset)
    end = start + load_size(blob.size)
    ranges = []
    for hole_start, hole_end in sorted(holes_of(blob)):
        ranges.append((start, min(end, load_size(blob.offset) + hole_start)))
        start = max(start, load_size(blob.offset) + hole_end)
    return [(first, last) for first, last in [*ranges, (start, end)] if first < last]


def holes_of(blob: Blob) -> list[tuple[int, int]]:
    """Return a blob's holes as ranges, relative to its start."""
    offsets = [(load_size(hole.offset), load_size(hole.size)) for hole in blob.holes]
    return [(offset, offset + size) for offset, size in offsets]


def find_overlap(ranges: list[tuple[int, int]], other: tuple[int, int]) -> tuple[int, int] | None:
    """Return the first bytes that `ranges` and `other` share, or None."""
    for first, end in ranges:
        shared = (max(first, other[0]), min(end, other[1]))
        if shared[0] < shared[1]:
            return shared
    return None
