# SPDX-License-Identifier: MIT
"""SHA-256 of large sparse files, in the format of sha256sum.

The digest is that of all bytes, holes read as zeros, so that `sha256sum --check` agrees; holes are not read from
the disk, which for a half-empty card image is most of the time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

PIECE = 1024 * 1024
ZEROS = memoryview(bytes(PIECE))
SUM = re.compile(r"([0-9a-f]{64}) [ *]([^/\0]+)")


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex digits."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(PIECE))
    with path.open("rb", buffering=0) as stream:
        end = os.fstat(stream.fileno()).st_size
        for is_data, start, stop in find_extents(stream.fileno(), end):
            stream.seek(start)
            left = stop - start
            while left:
                count = stream.readinto(buffer[:left]) if is_data else min(PIECE, left)
                if not count:
                    raise OSError(errno.EIO, "file became shorter while it was read", str(path))
                digest.update((buffer if is_data else ZEROS)[:count])
                left -= count
    return digest.hexdigest()


def sha256_bytes(content: bytes) -> str:
    """Return the SHA-256 of bytes in hex digits."""
    return hashlib.sha256(content).hexdigest()


def render_sum(sha256: str, name: str) -> str:
    """Return the line that `sha256sum --check` reads."""
    return f"{sha256}  {name}\n"


def read_sums(text: str) -> dict[str, str]:
    """Return the digests by name in a file of `sha256sum`; ValueError for a line that is none."""
    found = {}
    for line in text.splitlines():
        match = SUM.fullmatch(line)
        if not match:
            raise ValueError(f"{line[:80]!r} is no line of sha256sum")
        found[match[2]] = match[1]
    return found


def find_extents(descriptor: int, end: int) -> Iterator[tuple[bool, int, int]]:
    """Yield (is data, start, stop) from byte 0 to `end` without a gap."""
    position = 0
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
