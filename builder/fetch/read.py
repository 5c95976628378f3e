# SPDX-License-Identifier: MIT
"""Reading a file where releases are published: a web server, or a directory of this machine (file://).

read      a small description, as a whole
open_at   a large file, from some byte on
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from builder.errors import DownloadError
from builder.net import http
from builder.net.http import bare
from builder.net.rate import PIECE_BYTES
from builder.net.retry import retry
from builder.packaging.model import LONGEST
from builder.system.files import InputError, opened, read_bytes

HINTS = http.HINTS | {404: "look whether --from, the board and the version are right, and whether it was published"}
MISSING, PARTIAL, BEYOND = 404, 206, 416


@dataclass(frozen=True)
class Opened:
    """A file that is being read."""

    start: int
    """Where its first piece belongs: what was asked for, or 0 where the server sends all of it."""
    pieces: Iterator[bytes]


def read(url: str) -> bytes:
    """Return a small file; DownloadError when it is not there or cannot be had."""
    found = find(url)
    if found is None:
        raise DownloadError(f"{bare(url)} is not there", hint=HINTS[MISSING])
    return found


def find(url: str) -> bytes | None:
    """Return a small file, None when it is not there; DownloadError when that cannot be known."""
    path = local_path(url)
    if path is None:
        return retry(http.RETRIES, bare(url), lambda: _find(url))
    if not path.exists():
        return None
    try:
        return read_bytes(path, limit=LONGEST)
    except InputError as error:
        raise DownloadError(error.message) from error


def _find(url: str) -> bytes | None:
    with http.open_url(url, hints=HINTS, also=frozenset({MISSING})) as answer:
        if answer.status_code == MISSING:
            return None
        return http.read_all(url, answer, limit=LONGEST)


@contextmanager
def _local(path: Path) -> Iterator[IO[bytes]]:
    if not path.is_file():
        raise DownloadError(f"{path} is not there", hint=HINTS[MISSING])
    with opened(path) as stream:
        yield stream


@contextmanager
def open_at(url: str, start: int) -> Iterator[Opened]:
    """Yield a large file from byte `start` on, or from 0 where the server cannot do that.

    Raises TemporaryError (the next attempt needs another start where the server has nothing at this one) and
    DownloadError.
    """
    path = local_path(url)
    if path is not None:
        with _local(path) as stream:
            stream.seek(start)
            yield Opened(start, iter(lambda: stream.read(PIECE_BYTES), b""))
        return
    headers = dict(http.HEADERS) | ({"Range": f"bytes={start}-"} if start else {})
    with http.open_url(url, headers=headers, hints=HINTS, also=frozenset({PARTIAL, BEYOND})) as answer:
        if answer.status_code == BEYOND:
            yield Opened(start, iter(()))
        elif answer.status_code == PARTIAL and not answer.headers.get("Content-Range", "").startswith(
            f"bytes {start}-"
        ):
            raise DownloadError(f"{bare(url)}: the server sent another part than the one that was asked for")
        else:
            yield Opened(start if answer.status_code == PARTIAL else 0, http.pieces(answer))


def local_path(url: str) -> Path | None:
    """Return the path that a file:// address means; None for others."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.netloc in ("", "localhost") else None
