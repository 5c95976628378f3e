# SPDX-License-Identifier: MIT
"""Compare boot blobs on the disk with their source files."""

from __future__ import annotations

from pathlib import Path

from builder.disk.blobs import find_wrong_bytes, written_ranges
from builder.plan.model import BlobPlan
from builder.verify.facts.image import ImageFacts

SHOWN = 8


def find_content(image: ImageFacts, blob: BlobPlan) -> bytes:
    """Return the expected content of a blob, from a file of the image or of the board's directory."""
    if blob.source == "rootfs":
        return image.file(f"/{blob.location}").content
    return Path(blob.location).read_bytes()


def differing_bytes(image: ImageFacts, blob: BlobPlan) -> list[int]:
    """Return offsets of the first bytes on the disk that differ from the blob."""
    content = find_content(image, blob)
    differing: list[int] = []
    for start, end in written_ranges(blob, len(content)):
        disk = image.read_disk(blob.offset_bytes + start, end - start)
        differing += find_wrong_bytes(blob, start, content[start:end], disk)
    return differing[:SHOWN]
