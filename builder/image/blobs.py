# SPDX-License-Identifier: MIT
"""Raw boot blobs: bytes at fixed places of the disk, outside any partition.

Blobs are read from the rootfs, from the board's directory or from where a download was put. A path in the rootfs
is resolved as the running system would: a symbolic link leads to another place of the tree, never out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.disk.blobs import find_wrong_bytes, written_ranges
from builder.errors import RecipeError, SpaceError, VerifyError
from builder.plan.model import BlobPlan, Disk
from builder.rootfs.model import Rootfs
from builder.system.paths import resolve_inside
from builder.units import render_size

"""As many symbolic links as Linux follows in one path."""


@dataclass(frozen=True)
class BlobFile:
    """A blob and the file of this machine that it is read from."""

    plan: BlobPlan
    path: Path


def find_blobs(disk: Disk, rootfs: Rootfs, fetched: Mapping[str, Path]) -> tuple[BlobFile, ...]:
    """Return the blobs of a disk with their files.

    Raises RecipeError for a file that does not exist, SpaceError for one larger than its room.
    """
    found = []
    for blob in disk.blobs:
        path = _locate(blob, rootfs, fetched)
        if path is None or not path.is_file():
            raise RecipeError(
                f"blobs.{blob.name}.{blob.source}: there is no file {blob.location}",
                hint=_hint(blob),
            )
        size_bytes = path.stat().st_size
        if size_bytes > blob.limit_bytes:
            raise SpaceError(
                f"blob {blob.name} has {size_bytes} bytes; it may take {blob.limit_bytes}"
                f" ({render_size(blob.limit_bytes)})",
                hint=f"raise blobs.{blob.name}.size, and start the first partition later if it is in the way",
            )
        found.append(BlobFile(blob, path))
    return tuple(found)


def write_blobs(blobs: tuple[BlobFile, ...], image: Path) -> None:
    """Write the blobs into the image file, except their holes."""
    with image.open("r+b") as stream:
        for blob in blobs:
            data = blob.path.read_bytes()
            for start, end in written_ranges(blob.plan, len(data)):
                stream.seek(blob.plan.offset_bytes + start)
                stream.write(data[start:end])


def check_blobs(blobs: tuple[BlobFile, ...], image: Path) -> None:
    """Raise VerifyError unless every blob is in the image, but for its holes and the disk signature."""
    with image.open("rb") as stream:
        for blob in blobs:
            data = blob.path.read_bytes()
            for start, end in written_ranges(blob.plan, len(data)):
                stream.seek(blob.plan.offset_bytes + start)
                found = stream.read(end - start)
                _check_piece(blob.plan, start, data[start:end], found)


def _check_piece(blob: BlobPlan, start: int, planned: bytes, found: bytes) -> None:
    if wrong := find_wrong_bytes(blob, start, planned, found):
        raise VerifyError(
            f"blob {blob.name} is damaged from byte {wrong[0]} of the disk on ({len(wrong)} bytes differ)",
            hint=f"what lies there goes into blobs.{blob.name}.holes, or the blob elsewhere",
        )


def _locate(blob: BlobPlan, rootfs: Rootfs, fetched: Mapping[str, Path]) -> Path | None:
    if blob.source == "rootfs":
        return find_inside(rootfs.trees["/"], blob.location)
    if blob.source == "file":
        return Path(blob.location)
    return fetched.get(blob.name)


def _hint(blob: BlobPlan) -> str:
    return {
        "rootfs": "name a file that a package of the board installs (dpkg -L PACKAGE lists them)",
        "file": "the path is relative to the board's directory",
        "url": "the download was not made; run the build again",
    }[blob.source]


def find_inside(tree: Path, location: str) -> Path | None:
    """Return the file that `location` means in a system whose root is `tree`, or None; never one outside of it."""
    try:
        path = resolve_inside(tree, location)
    except RecipeError:
        return None  # A loop of links leads to no file; the caller names the key that asked for it.
    return path if path.exists() else None
