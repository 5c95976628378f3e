# SPDX-License-Identifier: MIT
"""An entry of a tree: its kind, its owner, and the ranges of a file that hold its content.

Content is read directly from ranges of the image or of a copy; nothing is unpacked for it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from builder.disk.walk import Budget
from builder.errors import VerifyError
from builder.units import MIB

LARGEST = 64 * MIB
"""Of a file that is read as a whole."""
LARGEST_HASHED = 1024 * MIB
LARGEST_OF_BOOT = 256 * MIB
"""Of kernels and initrds."""

Kind = Literal["file", "directory", "symlink", "device", "pipe", "socket"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of an entry's content; what no piece covers is zero. There may be a million of them."""

    start: int
    """Offset in the content, in bytes."""
    size_bytes: int
    source: Path
    offset_bytes: int
    """Offset in the source."""


@dataclass(frozen=True)
class Entry:
    """A file, directory or other thing of a tree."""

    path: str
    kind: Kind
    mode: int
    """Permissions with setuid, setgid and sticky bit."""
    uid: int
    gid: int
    size_bytes: int
    mtime: int
    inode: int = 0
    target: str = ""
    """The text of a symbolic link."""
    xattrs: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    pieces: tuple[Piece, ...] = ()
    alias: str = ""
    """Another name that finds it in its directory: the short one of a FAT."""
    budget: Budget | None = field(default=None, compare=False, repr=False)
    """Limit of bytes that are read of its filesystem, all files together."""
    digests: dict[tuple[str, int, tuple[Piece, ...]], str] = field(default_factory=dict, compare=False, repr=False)
    """Results of `hash` by kind and content: a large file is read once for all specs."""

    def read(self, limit: int | None = None) -> bytes:
        """Return the content, or its first `limit` bytes; VerifyError for more than is read of any file."""
        largest = LARGEST_OF_BOOT if self.path.startswith("/boot/") else LARGEST
        size = self.size_bytes if limit is None else min(limit, self.size_bytes)
        if size > largest:
            raise VerifyError(f"{self.path} has {size} bytes; at most {largest} are read of it")
        self._use(size)
        content = bytearray(size)
        for piece in self.pieces:
            count = min(piece.size_bytes, size - piece.start)
            if count > 0:
                content[piece.start : piece.start + count] = _read(piece.source, piece.offset_bytes, count)
        return bytes(content)

    def hash(self, name: str, most: int = LARGEST_HASHED) -> str:
        """Return a digest of the content by its name ("md5", "sha256"); VerifyError for more than `most` bytes."""
        if self.size_bytes > most:
            raise VerifyError(f"{self.path} has {self.size_bytes} bytes; at most {most} are hashed of it")
        key = (name, self.size_bytes, self.pieces)
        if key not in self.digests:
            self.digests[key] = self._hash(name)
        return self.digests[key]

    def _hash(self, name: str) -> str:
        self._use(self.size_bytes)
        state, position = hashlib.new(name, usedforsecurity=False), 0
        for start, content in self.stored(MIB):
            _hash_zeros(state, start - position)
            state.update(content)
            position = start + len(content)
        _hash_zeros(state, self.size_bytes - position)
        return state.hexdigest()

    def _use(self, count: int) -> None:
        if self.budget:
            self.budget.use(count)

    def stored(self, most: int) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, content) of all that is no hole, at most `most` bytes at once."""
        for piece in self.pieces:
            end = min(piece.size_bytes, self.size_bytes - piece.start)
            for at in range(0, end, most):
                yield piece.start + at, _read(piece.source, piece.offset_bytes + at, min(most, end - at))


def _hash_zeros(state: hashlib._Hash, count: int) -> None:
    """Hash a hole, which may be a gigabyte."""
    for at in range(0, count, MIB):
        state.update(bytes(min(MIB, count - at)))


def _read(path: Path, offset: int, size: int) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(handle, size, offset)
    finally:
        os.close(handle)
