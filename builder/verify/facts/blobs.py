# SPDX-License-Identifier: MIT
"""Boot blobs on the disk against the files they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from builder.plan.model import BlobPlan
from builder.verify.facts.image import Subject

SIGNATURE = range(440, 446)
"""Disk signature of an MBR and the two bytes after it: the table's, also where a blob lies around them."""
SHOWN = 8


def find_content(image: Subject, blob: BlobPlan) -> bytes:
    """Return what a blob should be: a file of the image, or one of the board's directory."""
    if blob.source == "rootfs":
        return image.file(f"/{blob.location}").content
    return Path(blob.location).read_bytes()


def written_ranges(blob: BlobPlan, size_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges (start, end) of a blob that are on the disk: all but its holes."""
    position = 0
    for start, end in [*sorted(blob.holes), (size_bytes, size_bytes)]:
        if position < min(start, size_bytes):
            yield position, min(start, size_bytes)
        position = max(position, end)


def differing_bytes(image: Subject, blob: BlobPlan) -> list[int]:
    """Return the first bytes of the disk that are not the blob's."""
    content = find_content(image, blob)
    found: list[int] = []
    for start, end in written_ranges(blob, len(content)):
        disk = image.read_disk(blob.offset_bytes + start, end - start)
        if disk == content[start:end]:
            continue
        pairs = zip(content[start:end], disk.ljust(end - start, b"\0"), strict=True)
        wrong = (blob.offset_bytes + start + index for index, (a, b) in enumerate(pairs) if a != b)
        found += [byte for byte in wrong if byte not in SIGNATURE]
    return found[:SHOWN]
