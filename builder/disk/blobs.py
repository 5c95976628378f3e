# SPDX-License-Identifier: MIT
"""Ranges of the disk that a boot blob fills: all of it without its holes and without the disk signature."""

from __future__ import annotations

from collections.abc import Iterator

from builder.plan.model import BlobPlan

SIGNATURE = range(440, 446)
"""Disk signature of an MBR and the two reserved bytes after it: the table's, also where a blob lies around them."""


def written_ranges(blob: BlobPlan, size_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges (start, end) of a blob that are on the disk: all but its holes."""
    position = 0
    for start, end in [*sorted(blob.holes), (size_bytes, size_bytes)]:
        if position < min(start, size_bytes):
            yield position, min(start, size_bytes)
        position = max(position, end)


def find_wrong_bytes(blob: BlobPlan, start: int, planned: bytes, stored: bytes) -> list[int]:
    """Return the offsets on the disk of bytes that differ in a range of a blob, missing bytes included."""
    if planned == stored:
        return []
    first = blob.offset_bytes + start
    pairs = zip(planned, stored.ljust(len(planned), b"\0"), strict=True)
    return [first + at for at, (one, other) in enumerate(pairs) if one != other and first + at not in SIGNATURE]
