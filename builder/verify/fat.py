# SPDX-License-Identifier: MIT
"""What is on a FAT, copied out by mtools: many kernels cannot mount one. A FAT knows no owners and no modes; they
are what a mount gives it."""

from __future__ import annotations

import os
from pathlib import Path

from builder.run import run
from builder.verify.entry import Entry, Piece
from builder.verify.ext4 import Place

MODE = 0o755


def is_fat32(place: Place) -> bool:
    """Say whether there is a FAT32."""
    return place.read(82, 5) == b"FAT32"


def read_fat(place: Place, mount: str, directory: Path) -> list[Entry]:
    """Copy everything into the empty `directory`, and return it by its path below `mount`."""
    mtools = ["-i", f"{place.image}@@{place.offset_bytes}"]
    environment = {"MTOOLSRC": "/dev/null", "HOME": "/nonexistent"}
    listing = run(["mdir", *mtools, "-b", "::"], env=environment, ok=(0, 1)).stdout
    if listing.strip():
        run(["mcopy", *mtools, "-s", "-m", "-Q", "-n", "::*", directory], env=environment)
    entries = [Entry(mount, "directory", MODE, 0, 0, 0, 0)]
    for parent, folders, files in os.walk(directory):
        entries += [
            _make(path, f"{mount}/{path.relative_to(directory).as_posix()}")
            for path in (Path(parent, name) for name in sorted([*folders, *files]))
        ]
    return entries


def _make(path: Path, inside: str) -> Entry:
    status = path.stat()
    if path.is_dir():
        return Entry(inside, "directory", MODE, 0, 0, 0, int(status.st_mtime))
    pieces = (Piece(0, status.st_size, path, 0),)
    return Entry(inside, "file", MODE, 0, 0, status.st_size, int(status.st_mtime), pieces=pieces)
