# SPDX-License-Identifier: MIT
"""The image to verify: found by its path or as the newest of a board, unpacked if it is compressed, never changed."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from builder import log
from builder.errors import RecipeError, VerifyError, disk_full_as_space_error
from builder.inputs import InputError, read_bytes
from builder.recipe.load import list_boards
from builder.run import run
from builder.units import MIB

RECORD = ".build.json"
"""What a build leaves beside its image, with the name of the board (release/record.py)."""
SUFFIXES = (".img", ".img.zst", ".img.xz", ".img.gz", ".img.zip")
PIECE = MIB
GRAIN = 64 * 1024
"""Zeros of this length become a hole."""


@dataclass(frozen=True)
class Found:
    """An image file and the raw disk in it."""

    path: Path
    """What was asked for."""
    raw: Path
    """The disk, which nobody may write to."""
    sha256: str
    """Digest of the disk: the same however it is compressed."""

    @property
    def name(self) -> str:
        """The name without what says how it is compressed."""
        return name_of(self.path)


def name_of(path: Path) -> str:
    """Return the name of an image file without what says how it is compressed."""
    return re.sub(r"\.img(\.\w+)?$", "", path.name)


def find_artefact(wanted: str, output: Path, boards: Path) -> Path:
    """Return the image file that a path or a board's name means; RecipeError when there is none.

    output  where artefacts of a board are looked for; the newest is taken
    boards  the directory of boards: an image without a record beside it is of the board with the longest fitting name
    """
    path = Path(wanted)
    if path.is_file():
        return path
    found = [path for suffix in SUFFIXES for path in output.glob(f"boardwright-*{suffix}")]
    names = list_boards(boards) if boards.is_dir() else []
    own = [path for path in found if _find_board(path, names) == wanted]
    if not own:
        raise RecipeError(
            f"{wanted} is no file, and {output} has no image of a board of that name",
            hint=f"name an image file, or build it first: boardwright build {wanted}",
        )
    return max(own, key=lambda path: path.stat().st_mtime)


def _find_board(path: Path, boards: Sequence[str]) -> str:
    """Return the board of an image: by the record of its build beside it, else by its name; empty where neither says.

    A version may hold whatever a name of a board does: boardwright-garden-2-1.0 is of garden or of garden-2.
    """
    try:
        board = json.loads(read_bytes(path.with_name(f"{name_of(path)}{RECORD}")))["board"]
    except (InputError, ValueError, KeyError, TypeError):
        board = None
    if isinstance(board, str):
        return board
    fitting = [board for board in boards if path.name.startswith(f"boardwright-{board}-")]
    return max(fitting, key=len, default="")


@contextmanager
def opened(path: Path, scratch: Path) -> Iterator[Found]:
    """Yield the image with its raw disk: itself, or unpacked below `scratch`; VerifyError when it is damaged."""
    unpack = next((unpack for suffix, unpack in UNPACKERS.items() if path.name.endswith(suffix)), None)
    with log.step(f"open {path.name}"):
        if unpack is None:
            raw = path.resolve()
        else:
            raw = scratch / "disk.img"
            with disk_full_as_space_error(scratch):
                unpack(path, raw)
        digest = digest_disk(raw)
    try:
        yield Found(path, raw, digest)
    finally:
        if unpack is not None:
            raw.unlink(missing_ok=True)


def digest_disk(raw: Path) -> str:
    """Return the SHA-256 of a disk."""
    with raw.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unpack_zstd(path: Path, raw: Path) -> None:
    result = run(["zstd", "--quiet", "--decompress", "--sparse", "--force", path, "-o", raw], ok=range(256))
    if result.code:
        raise damaged(path, result.stderr.strip())


def _unpack_stream(start: Callable[[Path], IO[bytes]]) -> Callable[[Path, Path], None]:
    def unpack(path: Path, raw: Path) -> None:
        try:
            with start(path) as source, raw.open("wb") as target:
                copy_sparse(source, target)
        except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise damaged(path, str(error)) from error

    return unpack


def _open_xz(path: Path) -> IO[bytes]:
    return lzma.open(path)


def _open_gzip(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path))


def _open_zip(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    images = [name for name in archive.namelist() if name.endswith(".img")]
    if len(images) != 1:
        raise damaged(path, f"it holds {len(images)} files that end with .img, and should hold one")
    return archive.open(images[0])


UNPACKERS: dict[str, Callable[[Path, Path], None]] = {
    ".zst": _unpack_zstd,
    ".xz": _unpack_stream(_open_xz),
    ".gz": _unpack_stream(_open_gzip),
    ".zip": _unpack_stream(_open_zip),
}


def damaged(path: Path, reason: str) -> VerifyError:
    """Return the error for a file that cannot be unpacked."""
    return VerifyError(
        f"{path.name} cannot be unpacked: {reason}", hint="compare its checksum; fetch or build it again"
    )


def copy_sparse(source: IO[bytes], target: IO[bytes], *, limit: int | None = None) -> None:
    """Copy a stream, or its next `limit` bytes, zeros as holes."""
    zeros, left = bytes(GRAIN), limit
    while chunk := source.read(PIECE if left is None else min(PIECE, left)):
        left = None if left is None else left - len(chunk)
        for start in range(0, len(chunk), GRAIN):
            grain = chunk[start : start + GRAIN]
            if grain == zeros:
                target.seek(GRAIN, os.SEEK_CUR)
            else:
                target.write(grain)
    target.truncate(target.tell())
