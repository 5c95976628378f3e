# SPDX-License-Identifier: MIT
"""Write raw boot blobs: bytes at fixed offsets of the disk, outside of partitions.

Blobs come from the rootfs, the board's directory or a download. A path in the rootfs is resolved as on the running
system: a symbolic link never leads out of the tree.
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


@dataclass(frozen=True)
class BlobFile:
    """A blob and its source file on this machine."""

    plan: BlobPlan
    path: Path


def find_blobs(disk: Disk, rootfs: Rootfs, fetched: Mapping[str, Path]) -> tuple[BlobFile, ...]:
    """Return the blobs of a disk with their files.

    Raises RecipeError for a missing file, SpaceError for one larger than the space of its blob.
    """
    files = []
    for blob in disk.blobs:
        path = _locate(blob, rootfs, fetched)
        if path is None or not path.is_file():
            raise RecipeError(
                f"blobs.{blob.name}.{blob.source}: file {blob.location} does not exist",
                hint=_hint(blob),
            )
        size_bytes = path.stat().st_size
        if size_bytes > blob.limit_bytes:
            raise SpaceError(
                f"blob {blob.name}: found {size_bytes} bytes; expected at most {blob.limit_bytes}"
                f" ({render_size(blob.limit_bytes)})",
                hint=f"raise blobs.{blob.name}.size, and start the first partition later if they overlap",
            )
        files.append(BlobFile(blob, path))
    return tuple(files)


def write_blobs(blobs: tuple[BlobFile, ...], image: Path) -> None:
    """Write the blobs into the image file, without their holes."""
    with image.open("r+b") as stream:
        for blob in blobs:
            data = blob.path.read_bytes()
            for start, end in written_ranges(blob.plan, len(data)):
                stream.seek(blob.plan.offset_bytes + start)
                stream.write(data[start:end])


def check_blobs(blobs: tuple[BlobFile, ...], image: Path) -> None:
    """Raise VerifyError unless every blob is in the image; holes and the disk signature may differ."""
    with image.open("rb") as stream:
        for blob in blobs:
            data = blob.path.read_bytes()
            for start, end in written_ranges(blob.plan, len(data)):
                stream.seek(blob.plan.offset_bytes + start)
                _check_piece(blob.plan, start, data[start:end], stream.read(end - start))


def _check_piece(blob: BlobPlan, start: int, planned: bytes, content: bytes) -> None:
    if wrong := find_wrong_bytes(blob, start, planned, content):
        raise VerifyError(
            f"blob {blob.name} is damaged from byte {wrong[0]} of the disk on ({len(wrong)} bytes differ)",
            hint=f"add the overwritten range to blobs.{blob.name}.holes, or move the blob",
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
        "url": "the file was not downloaded; run the build again",
    }[blob.source]


def find_inside(tree: Path, location: str) -> Path | None:
    """Return the file at `location` in a system with the root `tree`, or None; never a file outside of the tree."""
    try:
        path = resolve_inside(tree, location)
    except RecipeError:
        return None  # A loop of links. The caller reports it with the key of the recipe.
    return path if path.exists() else None
