# SPDX-License-Identifier: MIT
"""Upload body: a file or bytes that requests sends, with progress."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from builder.net.progress import Progress


@dataclass(frozen=True)
class Body:
    """A stream of known length. requests would send an empty file without one, in chunks that GitHub does not take."""

    stream: IO[bytes]
    size_bytes: int
    progress: Progress

    def __len__(self) -> int:
        return self.size_bytes

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes."""
        piece = self.stream.read(count)
        self.progress.update(len(piece))
        return piece


@contextmanager
def open_body(source: Path | bytes, name: str) -> Iterator[Body]:
    """Yield the body of a file or of bytes, at its start. `name` is shown with the progress."""
    size_bytes = source.stat().st_size if isinstance(source, Path) else len(source)
    with (
        source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream,
        Progress(name, size_bytes) as progress,
    ):
        yield Body(stream, size_bytes, progress)
