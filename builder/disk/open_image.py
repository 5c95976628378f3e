# SPDX-License-Identifier: MIT
"""Read the disk in a compressed image piece by piece, with limits; nothing is written.

A few kilobytes can be unpacked to terabytes, and a format may ask for gigabytes of memory. So memory is limited if the
program that unpacks has such an option. The disk ends where its partition table ends, or at the limit of the caller.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from builder.compression import Compression, find_compression
from builder.errors import BoardwrightError, VerifyError
from builder.system.process import piped
from builder.units import GIB, MIB, SECTOR, align_up, render_size

ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""LZMA's may ask for 4 GiB of memory."""
ZIP_ERRORS = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error, zlib.error)
"""Exceptions of zipfile for damaged and encrypted files and for unknown versions."""
LARGEST_ZIP_LIST = MIB
"""Bytes of the list of a zip, which is read as a whole; a release has one file in it."""
LARGEST = 64 * GIB
"""Of a disk."""
SLACK = 64 * MIB
"""Bytes that may follow the last partition."""
HEAD = 64 * 1024
AGAIN = "compare its checksum; fetch or build it again"


def unpacked(path: Path, *, limit: int = LARGEST, error: type[BoardwrightError] = VerifyError) -> Iterator[bytes]:
    """Yield the bytes of the image in a file, compressed or not.

    limit  bytes that may come

    Raises `error` when it is damaged or longer than its partition table or `limit` says, MachineError when the program
    that unpacks it is missing.
    """
    compression = find_compression(path.name)
    if compression.row.unpack:
        pieces = _run(compression.row.unpack, path, error)
    elif compression is Compression.ZIP:
        pieces = _read_zip(path, error)
    else:
        pieces = _read(path)
    size_bytes, allowed = 0, limit
    for piece in pieces:
        if size_bytes == 0:
            allowed = min(limit, find_end(piece[:HEAD]) or limit)
        size_bytes += len(piece)
        if size_bytes > allowed:
            raise _damaged(path, f"more than {render_size(allowed)} come, which is all that it can hold", error)
        yield piece


def find_end(head: bytes) -> int | None:
    """Return the size of a disk by its partition table, with SLACK; None if it has no table.

    head  its first bytes, two sectors at least
    """
    if len(head) < 2 * SECTOR or head[510:512] != b"\x55\xaa":
        return None
    rows = [struct.unpack_from("<B3xB3xII", head, 446 + 16 * number) for number in range(4)]
    if any(kind == 0xEE for _, kind, _, _ in rows) and head[SECTOR : SECTOR + 8] == b"EFI PART":
        sectors = struct.unpack_from("<Q", head, SECTOR + 32)[0] + 1  # Where the second table is.
    else:
        sectors = max((start + size for _, kind, start, size in rows if kind), default=0)
    return int(align_up(sectors * SECTOR, MIB)) + SLACK if sectors else None


def _run(argv: Sequence[str], path: Path, error: type[BoardwrightError]) -> Iterator[bytes]:
    with piped([*argv, path], env={}) as process:
        assert process.stdout is not None  # Both are pipes.
        assert process.stderr is not None
        with process.stdout, process.stderr:
            yield from _pieces(process.stdout)
            message = process.stderr.read().decode(errors="replace").strip()
        if process.wait():
            raise _damaged(path, message, error)


def _read_zip(path: Path, error: type[BoardwrightError]) -> Iterator[bytes]:
    try:
        with _Limited(path.open("rb", buffering=0)) as file, zipfile.ZipFile(file) as archive:
            images = [name for name in archive.namelist() if name.endswith(".img")]
            if len(images) != 1:
                count = len(images)
                raise _damaged(path, f"it holds {count} files that end with .img, and should hold one", error)
            if (method := archive.getinfo(images[0]).compress_type) not in ZIP_METHODS:
                raise _damaged(path, f"found the method {method}; allowed: 0 (stored) and 8 (deflated)", error)
            with archive.open(images[0]) as stream:
                yield from _pieces(stream)
    except ZIP_ERRORS as problem:
        raise _damaged(path, str(problem), error) from None


class _Limited(io.BufferedReader):
    """A file with a limit for one read: zipfile reads the list at once, and makes an object of each line of it."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return bytes; BadZipFile if there are more than the limit."""
        count = LARGEST_ZIP_LIST + 1 if size is None or size < 0 else size
        content = super().read(min(count, LARGEST_ZIP_LIST + 1))
        if len(content) > LARGEST_ZIP_LIST:
            raise zipfile.BadZipFile(f"its list of files has more than {render_size(LARGEST_ZIP_LIST)}")
        return content


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from _pieces(stream)


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    while data := stream.read(MIB):
        yield data


def _damaged(path: Path, reason: str, error: type[BoardwrightError]) -> BoardwrightError:
    return error(f"{path.name} cannot be unpacked: {reason}", hint=AGAIN)
