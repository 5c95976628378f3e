# SPDX-License-Identifier: MIT
"""Boot blobs on the disk against the files they come from."""

from __future__ import annotations

from pathlib import Path

from builder.disk.blobs import find_wrong_bytes, written_ranges
from builder.plan.model import BlobPlan
from builder.verify.facts.image import Subject

SHOWN = 8


def find_content(image: Subject, blob: BlobPlan) -> bytes:
    """Return what a blob should be: a file of the image, or one of the board's directory."""
    if blob.source == "rootfs":
        return image.file(f"/{blob.location}").content
    return Path(blob.location).read_bytes()


def differing_bytes(image: Subject, blob: BlobPlan) -> list[int]:
    """Return the first bytes of the disk that are not the blob's."""
    content = find_content(image, blob)
    found: list[int] = []
    for start, end in written_ranges(blob, len(content)):
        disk = image.read_disk(blob.offset_bytes + start, end - start)
        found += find_wrong_bytes(blob, start, content[start:end], disk)
    return found[:SHOWN]
