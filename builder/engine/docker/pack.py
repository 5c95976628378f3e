# SPDX-License-Identifier: MIT
"""Write and read packs: artefacts of a container without zeros, as one stream compressed by zstd -1.

    MAGIC, then for each file
        index of the file among those announced                     4 bytes
        pieces: offset (8 bytes), length (4 bytes, not 0), data     in the order of the file
        end: size of the file (8 bytes), 0 (4 bytes)

Numbers are big-endian. Bytes that no piece covers are zero. A build writes two packs: of the image while the specs run
on it, and of the small files at the end. The Engine's archive call sends a file at 490 MB/s, if gzip is not requested.
Its exec call has a fiftieth of that, because all bytes pass in frames of 32 KiB. The reader trusts nothing: indexes and
offsets must grow, and no byte may be outside the announced files.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from builder.artefact.files import Artefact
from builder.errors import TrustError, disk_full_as_space_error
from builder.system.process import run
from builder.system.sparse import find_extents

if TYPE_CHECKING:
    from zstandard import ZstdDecompressionReader

IMAGE_PACK = Path("/build/image.pack")
PACK = Path("/build/artefacts.pack")
"""Paths of the two packs in a container."""
MAGIC = b"boardwright pack 1\n"
INDEX = struct.Struct(">I")
PIECE = struct.Struct(">QI")
PIECE_BYTES = 1024 * 1024
"""Maximum length of one piece's data."""
GRAIN = 64 * 1024
"""Blocks of zeros of this length, at a multiple of it, are left out."""
ZEROS = bytes(GRAIN)
WINDOW_BYTES = 8 * 1024 * 1024
"""Limit for the memory of decompression; zstd -1 needs 512 KiB."""
HINT = "build again; if the error stays, the connection to the Engine damages data"


def write_pack(files: Sequence[Path], pack: Path, *, first: int = 0) -> None:
    """Write a pack of the regular files in `files`.

    first  index of the first file among those announced

    Raises SpaceError, MachineError (no zstd) and ToolError.
    """
    with disk_full_as_space_error(pack), pack.open("wb") as target:
        read_end, write_end = os.pipe()
        with _feeding(files, first, write_end), os.fdopen(read_end, "rb") as source:
            run(["zstd", "-1", "--threads=0", "--quiet", "--stdout"], stdin=source, stdout=target)


def read_pack(stream: IO[bytes], announced: Sequence[Artefact]) -> Iterator[tuple[int, int, bytes]]:
    """Yield (index, offset in bytes, data) of each piece of a compressed pack; data is b"" at the end of a file.

    Raises TrustError if the stream is not a pack of `announced`.
    """
    import zstandard  # noqa: PLC0415 - the builder image lacks it, and never reads packs

    expanded = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).stream_reader(stream, read_size=PIECE_BYTES)
    try:
        if (magic := expanded.read(len(MAGIC))) != MAGIC:
            raise _damaged(f"found {magic!r}; expected {MAGIC!r}")
        last = -1
        while head := expanded.read(INDEX.size):
            (index,) = INDEX.unpack(_check_length(head, INDEX.size))
            if not last < index < len(announced):
                raise _damaged(f"found file {index} after {last}; expected one of {len(announced)}, in order")
            for offset, data in _read_file(expanded, announced[index]):
                yield index, offset, data
            last = index
    except zstandard.ZstdError as error:
        raise _damaged(str(error)) from error


def _read_file(stream: ZstdDecompressionReader, artefact: Artefact) -> Iterator[tuple[int, bytes]]:
    position, size = 0, artefact.size_bytes
    while True:
        offset, length = PIECE.unpack(_check_length(stream.read(PIECE.size), PIECE.size))
        if length == 0:
            if offset != size:
                raise _damaged(f"{artefact.path.name} has {offset} bytes; expected {size}")
            yield offset, b""
            return
        if length > PIECE_BYTES or offset < position or offset + length > size:
            raise _damaged(
                f"{artefact.path.name} has a piece of {length} bytes at {offset};"
                f" expected at most {PIECE_BYTES} from {position} to {size}"
            )
        yield offset, _check_length(stream.read(length), length)
        position = offset + length


def _check_length(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise _damaged(f"found its end after {len(data)} bytes; expected {length}")
    return data


def _damaged(problem: str) -> TrustError:
    return TrustError(f"artefacts from the container: {problem}", hint=HINT)


@contextmanager
def _feeding(files: Sequence[Path], first: int, descriptor: int) -> Iterator[None]:
    """Write the pack's content into a pipe from a thread; raise an error of the thread at the end of the block."""
    errors: list[OSError] = []

    def feed() -> None:
        try:
            with os.fdopen(descriptor, "wb", buffering=PIECE_BYTES) as stream:
                _write_content(files, first, stream)
        except BrokenPipeError:
            return  # zstd ended early; its exit code shows why.
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if errors:
        raise errors[0]


def _write_content(files: Sequence[Path], first: int, stream: IO[bytes]) -> None:
    stream.write(MAGIC)
    for index, path in enumerate(files, first):
        if not path.is_file():
            continue  # The caller has it already.
        stream.write(INDEX.pack(index))
        with path.open("rb", buffering=0) as source:
            size = os.fstat(source.fileno()).st_size
            for is_data, start, stop in find_extents(source.fileno(), size):
                if is_data:
                    _write_pieces(source.fileno(), start, stop, stream)
        stream.write(PIECE.pack(size, 0))


def _write_pieces(source: int, start: int, stop: int, stream: IO[bytes]) -> None:
    for offset in range(start, stop, PIECE_BYTES):
        data = os.pread(source, min(PIECE_BYTES, stop - offset), offset)
        first = 0
        for grain in range(0, len(data) + GRAIN, GRAIN):
            if grain >= len(data) or data[grain : grain + GRAIN] == ZEROS[: len(data) - grain]:
                if first < min(grain, len(data)):
                    piece = data[first:grain]
                    stream.write(PIECE.pack(offset + first, len(piece)))
                    stream.write(piece)
                first = grain + GRAIN
