# SPDX-License-Identifier: MIT
"""A file or bytes, read piece by piece by whoever sends them, telling how far it is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from builder import log


class Reader:
    """What `requests` sends as a body: it reads, and it knows its length."""

    def __init__(self, stream: IO[bytes], size_bytes: int, name: str) -> None:
        self._stream = stream
        self._size_bytes = size_bytes
        self._name = name
        self._read = self._shown = 0

    def __len__(self) -> int:
        return self._size_bytes

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes, and tell each whole percent once."""
        piece = self._stream.read(count)
        self._read += len(piece)
        percent = self._read * 100 // self._size_bytes if self._size_bytes else 0
        if percent > self._shown:
            self._shown = percent
            log.progress(self._name, percent / 100)
        return piece


@contextmanager
def opened(source: Path | bytes, name: str) -> Iterator[Reader]:
    """Yield a reader of a file or of bytes, at its beginning."""
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
        size_bytes = source.stat().st_size if isinstance(source, Path) else len(source)
        yield Reader(stream, size_bytes, name)
