# SPDX-License-Identifier: MIT
"""Digests of files, sparse ones too, and the format of sha256sum.

A digest is that of all bytes, holes read as zeros, so that `sha256sum --check` agrees; holes are not read from
the disk, which for a half-empty card image is most of the time.
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
    """Return a digest of an open file, from its start to its end; OSError where it becomes shorter meanwhile."""
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
    """Return the line that `sha256sum --check` reads."""
    return f"{sha256}  {name}\n"


def read_sums(text: str) -> dict[str, str]:
    """Return the digests by name in a file of `sha256sum`; ValueError for a line that is none."""
    found = {}
    for line in text.splitlines():
        match = SUM.fullmatch(line)
        if not match:
            raise ValueError(f"{line[:80]!r} is not a line of sha256sum")
        found[match[2]] = match[1]
    return found
