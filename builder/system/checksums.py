# SPDX-License-Identifier: MIT
"""Digests of files, including sparse files, and the format of sha256sum.

Holes count as zeros, as in `sha256sum --check`, but are not read from the disk. For a half-empty card image this saves
most of the time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from pathlib import Path
from typing import IO

from builder.system.sparse import find_extents

PIECE = 1024 * 1024
ZEROS = memoryview(bytes(PIECE))
SHA256 = re.compile(r"[0-9a-f]{64}")
SUM = re.compile(rf"({SHA256.pattern}) [ *]([^/\0]+)")


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file in hex digits."""
    return hash_file(path, "sha256")


def hash_file(path: Path | str, name: str) -> str:
    """Return a digest of a file in hex digits, by the name of its algorithm ("md5", "sha256")."""
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - of 25,000 files: Path costs seconds
        return hash_stream(stream, name)


def hash_stream(stream: IO[bytes], name: str) -> str:
    """Return a digest of a whole open file; OSError if the file becomes shorter meanwhile."""
    digest, file = hashlib.new(name, usedforsecurity=False), stream.fileno()
    end = os.fstat(file).st_size
    buffer = memoryview(bytearray(min(PIECE, end)))
    for is_data, start, stop in find_extents(file, end):
        left = stop - start
        while left:
            count = os.preadv(file, [buffer[:left]], stop - left) if is_data else min(PIECE, left)
            if not count:
                raise OSError(errno.EIO, "file became shorter while it was read", str(stream.name))
            digest.update((buffer if is_data else ZEROS)[:count])
            left -= count
    return digest.hexdigest()


def sha256_bytes(content: bytes) -> str:
    """Return the SHA-256 of bytes in hex digits."""
    return hashlib.sha256(content).hexdigest()


def render_sum(sha256: str, name: str) -> str:
    """Return a line in the format of `sha256sum --check`."""
    return f"{sha256}  {name}\n"


def read_sums(text: str) -> dict[str, str]:
    """Return the digests by name in the output of `sha256sum`; ValueError for an invalid line."""
    sums = {}
    for line in text.splitlines():
        match = SUM.fullmatch(line)
        if not match:
            raise ValueError(f"{line[:80]!r} is not a line of sha256sum")
        sums[match[2]] = match[1]
    return sums
