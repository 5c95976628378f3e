# SPDX-License-Identifier: MIT
"""An image into a container: as a stream, without its holes, so that 2 GiB of which a quarter is used are a quarter.

The holes are those of the file. GNU's sparse format 1.0 for tar names what is data; the Engine writes zeros in between.
A compressed image has no holes, and is an ordinary member.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from docker import APIClient

from builder import log
from builder.engine.docker.connect import engine_errors
from builder.errors import RecipeError
from builder.net.progress import Progress
from builder.system.sparse import find_extents
from builder.units import MIB

PIECE = MIB
BLOCK = tarfile.BLOCKSIZE
Region = tuple[int, int]
"""Offset and length in bytes of a part of a file that is data."""


def put_image(api: APIClient, container: str, path: str, source: Path) -> None:
    """Copy one large file of this machine to a path in the container; RecipeError if it cannot be read."""
    try:
        with source.open("rb") as stream, log.step(f"send {source.name}"), engine_errors(f"sending {source.name}"):
            member = PurePosixPath(path).relative_to("/").as_posix()
            api.put_archive(container, "/", _pack(stream, member, source.name))
    except OSError as error:
        if error.filename != str(source):
            raise
        raise RecipeError(f"{source} cannot be read: {error.strerror}") from error


def find_data(stream: IO[bytes]) -> list[Region]:
    """Return the parts of a file that are no holes; all of it if its filesystem does not report holes."""
    end = os.fstat(stream.fileno()).st_size
    try:
        return [(start, stop - start) for is_data, start, stop in find_extents(stream.fileno(), end) if is_data]
    except OSError:
        return [(0, end)]


def _pack(stream: IO[bytes], member: str, name: str) -> Iterator[bytes]:
    """Yield a tar archive with the file as its only member."""
    size, regions = os.fstat(stream.fileno()).st_size, find_data(stream)
    total = sum(length for _, length in regions)
    entry = tarfile.TarInfo(member)
    entry.mode, table = 0o600, b""
    if total != size:
        table = _render_table(regions)
        entry.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": member,
            "GNU.sparse.realsize": str(size),
        }
    entry.size = len(table) + total
    yield entry.tobuf(tarfile.PAX_FORMAT) + table
    with Progress(name, total) as progress:
        for offset, length in regions:
            for piece in _read(stream, offset, length, name):
                yield piece
                progress.update(len(piece))
    yield bytes(-total % BLOCK + 2 * BLOCK)


def _render_table(regions: list[Region]) -> bytes:
    """Return the map of a sparse member: one decimal number a line, padded to whole blocks."""
    numbers = [len(regions), *(number for region in regions for number in region)]
    text = "".join(f"{number}\n" for number in numbers).encode()
    return text + bytes(-len(text) % BLOCK)


def _read(stream: IO[bytes], offset: int, length: int, name: str) -> Iterator[bytes]:
    stream.seek(offset)
    while length:
        piece = stream.read(min(PIECE, length))
        if not piece:
            raise RecipeError(f"{name} became shorter while it was sent", hint="wait until it is finished, then repeat")
        length -= len(piece)
        yield piece
