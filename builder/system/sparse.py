# SPDX-License-Identifier: MIT
"""Sparse files: find their data, and copy them with their holes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import IO

from builder.units import KIB, MIB

PIECE_BYTES = 64 * MIB
"""Bytes copied by one call."""
GRAIN = 64 * KIB
"""Zeros of this length become a hole."""
ZEROS = bytes(GRAIN)


def find_extents(descriptor: int, end: int, start: int = 0) -> Iterator[tuple[bool, int, int]]:
    """Yield (is data, start, stop) from byte `start` to `end` without a gap."""
    position = start
    while position < end:
        data = _next_data(descriptor, position, end)
        if data > position:
            yield False, position, data
        if data == end:
            return
        position = min(end, os.lseek(descriptor, data, os.SEEK_HOLE))
        yield True, data, position


def _next_data(descriptor: int, position: int, end: int) -> int:
    try:
        return min(end, os.lseek(descriptor, position, os.SEEK_DATA))
    except OSError as error:
        if error.errno != errno.ENXIO:  # ENXIO: only a hole until the end (lseek(2)).
            raise
        return end


def copy_range(source: int, target: int, start: int, stop: int, check: Callable[[], None] = lambda: None) -> None:
    """Copy a range of an open file to the start of an empty one, which gets the length of the range. Holes stay holes;
    the range after the end of the source becomes a hole.

    check  called before each piece; an exception from it ends the copy
    """
    os.truncate(target, stop - start)
    for is_data, first, last in find_extents(source, stop, start):
        position = first if is_data else last
        os.lseek(target, position - start, os.SEEK_SET)
        while position < last:
            check()
            count = os.sendfile(target, source, position, min(last - position, PIECE_BYTES))
            if not count:
                raise OSError(errno.EIO, "the file became shorter while it was copied")
            position += count


def write_sparse(content: bytes, target: IO[bytes]) -> int:
    """Write to a new file and return the number of bytes written; blocks of zeros become holes.

    Afterwards the caller must truncate the file at its position.
    """
    written = 0
    for start in range(0, len(content), GRAIN):
        grain = content[start : start + GRAIN]
        if grain == ZEROS:
            target.seek(GRAIN, os.SEEK_CUR)
        else:
            written += target.write(grain)
    return written
