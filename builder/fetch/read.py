# SPDX-License-Identifier: MIT
"""Read files of releases from a web server, or from a directory of this machine (file://).

read      a small description, completely
open_at   a large file, from some byte on
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

import requests

from builder.errors import DownloadError
from builder.net import http
from builder.net.http import bare
from builder.net.rate import PIECE_BYTES
from builder.net.retry import retry
from builder.packaging.model import LONGEST
from builder.system.files import InputError, opened, read_bytes

HINTS = http.HINTS | {404: "check --from, the board and the version, and that the release was published"}
MISSING, PARTIAL, BEYOND = 404, 206, 416


@dataclass(frozen=True)
class Opened:
    """A file that is open for reading."""

    start: int
    """Offset of the first piece: the requested one, or 0 if the server sends the whole file."""
    pieces: Iterator[bytes]


def read(url: str) -> bytes:
    """Return a small file; raise DownloadError if it is missing or cannot be read."""
    content = find(url)
    if content is None:
        raise DownloadError(f"{bare(url)} does not exist", hint=HINTS[MISSING])
    return content


def find(url: str) -> bytes | None:
    """Return a small file, or None if it is missing; raise DownloadError for all other problems."""
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
        raise DownloadError(f"{path} does not exist", hint=HINTS[MISSING])
    with opened(path) as stream:
        yield stream


@contextmanager
def open_at(url: str, start: int) -> Iterator[Opened]:
    """Yield a large file from byte `start` on, or from 0 if the server does not support that.

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
        elif answer.status_code == PARTIAL and not _range(answer).startswith(f"bytes {start}-"):
            raise DownloadError(f"{bare(url)}: found the range {_range(answer)!r}; expected one from byte {start} on")
        else:
            yield Opened(start if answer.status_code == PARTIAL else 0, http.pieces(answer))


def _range(answer: requests.Response) -> str:
    return answer.headers.get("Content-Range", "")


def local_path(url: str) -> Path | None:
    """Return the path of a file:// URL; None for other URLs."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.netloc in ("", "localhost") else None
