# SPDX-License-Identifier: MIT
"""Asking web servers: with patience for what passes, in words for what does not.

A URL's user name, password and query never reach a message: they may be credentials.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from builder import log
from builder.errors import DownloadError
from builder.net.rate import PIECE_BYTES, measured

ATTEMPTS = 4
BACKOFF_S = 1.0
"""Pause before the second attempt; it triples with each further one."""
LONGEST_PAUSE_S = 60.0
TIMEOUT_S = (10.0, 60.0)
"""To connect, and between two pieces of an answer."""
LOOK = "look whether the address is right"
PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
HINTS = {
    401: "the server wants credentials",
    403: "the server wants credentials, or does not serve this place",
}
LATER = "try again later; behind a proxy, set http_proxy and https_proxy"
HEADERS = {"User-Agent": "boardwright", "Accept-Encoding": "identity"}

Result = TypeVar("Result")


class PassingError(Exception):
    """What may be gone at the next attempt; `pause_s` is what the server asks for."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


def bare(url: str) -> str:
    """Return a URL without what may be secret: user name, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?…' if parts.query else ''}"


def persist(url: str, attempt: Callable[[], Result], *, hint: str = LATER) -> Result:
    """Return what `attempt` returns; what passes (busy server, broken connection) is tried again.

    Raises what `attempt` raises, and DownloadError with this hint when nothing but PassingError came of it.
    """
    for count in range(ATTEMPTS):
        try:
            return attempt()
        except PassingError as error:
            reason, pause_s = error, max(BACKOFF_S * 3**count, min(error.pause_s, LONGEST_PAUSE_S))
        if count < ATTEMPTS - 1:
            log.note(f"{bare(url)}: {reason}; next attempt in {pause_s:.0f} s")
            time.sleep(pause_s)
    raise DownloadError(f"{bare(url)}: {reason}, {ATTEMPTS} times", hint=hint)


@contextmanager
def opened(
    url: str,
    *,
    headers: Mapping[str, str] = HEADERS,
    hints: Mapping[int, str] = HINTS,
    also: frozenset[int] = frozenset(),
    timeout_s: tuple[float, float] | None = None,
) -> Iterator[requests.Response]:
    """Yield the answer to GET; what breaks while it is read is translated too.

    hints      what to do about a status
    also       statuses besides 200 that are an answer
    timeout_s  to connect, and between two pieces; TIMEOUT_S without

    Raises PassingError (worth another attempt) and DownloadError.
    """
    with (
        _translated(url),
        measured() as session,
        session.get(url, stream=True, timeout=timeout_s or TIMEOUT_S, headers=dict(headers)) as answer,
    ):
        if answer.status_code not in also:
            _check_status(url, answer, hints)
        yield answer


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn what the libraries raise into PassingError, worth another attempt, and DownloadError."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise DownloadError(
            f"{bare(url)}: its certificate was refused",
            hint="is the clock right, and ca-certificates installed? SSL_CERT_FILE names another bundle",
        ) from error
    except (requests.Timeout, requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
        raise PassingError(root_reason(error)) from error
    except requests.exceptions.InvalidSchema as error:
        raise DownloadError(f"{bare(url)} leads to something other than http and https, which is refused") from error
    except requests.RequestException as error:
        raise DownloadError(f"{bare(url)} cannot be fetched: {type(error).__name__}") from error


def pieces(answer: requests.Response) -> Iterator[bytes]:
    """Yield the body as it is: requests would unpack a .tar.gz that a server labels Content-Encoding: gzip."""
    yield from answer.raw.stream(PIECE_BYTES, decode_content=False)


def read_all(url: str, answer: requests.Response, *, limit: int, longest_s: float = 120.0) -> bytes:
    """Return a whole small body; DownloadError when it is longer than `limit` bytes, or takes longer."""
    begun, content = time.monotonic(), bytearray()
    for piece in pieces(answer):
        content += piece
        if len(content) > limit:
            raise DownloadError(f"{bare(url)} is longer than what is read there ({limit} bytes)", hint=LOOK)
        if time.monotonic() - begun > longest_s:
            raise DownloadError(f"{bare(url)} is not there after {longest_s:.0f} s", hint=LATER)
    return bytes(content)


def length_of(answer: requests.Response) -> int:
    """Return the bytes that the server says follow; 0: it does not say."""
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and len(length) < 16 else 0


def show_progress(url: str, size_bytes: int, received: int = 0) -> Callable[[int], None]:
    """Return a function that takes the size of each piece and tells each whole percent once."""
    name = Path(urlsplit(url).path).name
    shown = received * 100 // size_bytes if size_bytes else 0

    def show(piece_bytes: int) -> None:
        nonlocal received, shown
        received += piece_bytes
        percent = received * 100 // size_bytes if size_bytes else 0
        if percent > shown:
            shown = percent
            log.progress(name, min(1.0, received / size_bytes))

    return show


def _check_status(url: str, answer: requests.Response, hints: Mapping[int, str]) -> None:
    status = answer.status_code
    if status in PASSING_STATUS:
        asked = answer.headers.get("Retry-After", "")
        pause_s = float(asked[:9]) if asked.isdecimal() else 0.0
        raise PassingError(f"the server answered {status_words(status)}", pause_s)
    if status != requests.codes.ok:
        raise DownloadError(f"{bare(url)}: the server answered {status_words(status)}", hint=hints.get(status, ""))


def status_words(status: int) -> str:
    """Return "404 Not Found", in the words of the standard and not of the server."""
    return f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)


def root_reason(error: BaseException) -> str:
    """Return the system's own words ("Connection refused"); what libraries say holds the whole URL."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror and not isinstance(seen, requests.RequestException):
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    slow = isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError)
    return "the server is silent" if slow else "the connection broke"
