# SPDX-License-Identifier: MIT
"""HTTP downloads: open a URL, and turn what fails into a TemporaryError, for `retry`, or a message.

A URL's user name, password and query never reach a message: they may be credentials.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from builder.errors import DownloadError
from builder.net.progress import Progress
from builder.net.rate import PIECE_BYTES, measured
from builder.net.retry import RetryPolicy, TemporaryError

TIMEOUT_S = (10.0, 60.0)
"""Timeouts to connect, and between two pieces of a response."""
LOOK = "look whether the address is right"
TEMPORARY_STATUS = frozenset({408, 429, 500, 502, 503, 504})
HINTS = {
    401: "the server wants credentials",
    403: "the server wants credentials, or does not allow this path",
}
LATER = "try again later; behind a proxy, set http_proxy and https_proxy"
HEADERS = {"User-Agent": "boardwright", "Accept-Encoding": "identity"}
RETRIES = RetryPolicy(attempts=4, factor=3.0, longest_s=60.0, shortens=True, total_s=180.0, hint=LATER)
BROKEN = (
    *(requests.Timeout, requests.ConnectionError, urllib3.exceptions.HTTPError),
    *(requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError),
)
"""Errors of a connection, which the next attempt may not have."""


def bare(url: str) -> str:
    """Return a URL without what may be secret: user name, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?…' if parts.query else ''}"


@contextmanager
def open_url(
    url: str,
    *,
    headers: Mapping[str, str] = HEADERS,
    hints: Mapping[int, str] = HINTS,
    also: frozenset[int] = frozenset(),
    timeout_s: tuple[float, float] | None = None,
) -> Iterator[requests.Response]:
    """Yield the answer to GET. Errors while it is read are turned into messages too.

    hints      what to do about a status
    also       statuses besides 200 that are an answer
    timeout_s  to connect, and between two pieces; default TIMEOUT_S

    Raises TemporaryError and DownloadError.
    """
    with (
        request_errors(bare(url)),
        measured() as session,
        session.get(url, stream=True, timeout=timeout_s or TIMEOUT_S, headers=dict(headers)) as answer,
    ):
        if answer.status_code not in also:
            _check_status(url, answer, hints)
        yield answer


@contextmanager
def request_errors(name: str, *, action: str = "fetched") -> Iterator[None]:
    """Turn errors of requests and urllib3 into TemporaryError, and into DownloadError where no retry helps.

    name    of the server or the file, in messages
    action  what cannot be done with it
    """
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise DownloadError(
            f"{name}: its certificate was refused",
            hint="is the clock right, and ca-certificates installed? SSL_CERT_FILE names another bundle",
        ) from error
    except BROKEN as error:
        raise TemporaryError(root_reason(error)) from error
    except requests.exceptions.InvalidSchema as error:
        raise DownloadError(f"{name} leads to something other than http and https, which is refused") from error
    except requests.RequestException as error:
        raise DownloadError(f"{name} cannot be {action}: {type(error).__name__}") from error


def pieces(answer: requests.Response) -> Iterator[bytes]:
    """Yield the body as it is: requests would unpack a .tar.gz that a server labels Content-Encoding: gzip."""
    yield from answer.raw.stream(PIECE_BYTES, decode_content=False)


def read_all(url: str, answer: requests.Response, *, limit: int, longest_s: float = 120.0) -> bytes:
    """Return a whole small body; DownloadError when it is longer than `limit` bytes, or takes longer."""
    begun, content = time.monotonic(), bytearray()
    for piece in pieces(answer):
        content += piece
        if len(content) > limit:
            raise DownloadError(f"{bare(url)} is longer than the limit ({limit} bytes)", hint=LOOK)
        if time.monotonic() - begun > longest_s:
            raise DownloadError(f"{bare(url)} was not complete after {longest_s:.0f} s", hint=LATER)
    return bytes(content)


def length_of(answer: requests.Response) -> int:
    """Return the length of the body by its header; 0 if that is missing."""
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and len(length) < 16 else 0


def open_progress(url: str, total_bytes: int) -> Progress:
    """Return the progress of a download, under the name of its file."""
    return Progress(Path(urlsplit(url).path).name, total_bytes)


def _check_status(url: str, answer: requests.Response, hints: Mapping[int, str]) -> None:
    status = answer.status_code
    if status in TEMPORARY_STATUS:
        retry_after = answer.headers.get("Retry-After", "")
        wait_s = float(retry_after[:9]) if retry_after.isdecimal() else 0.0
        raise TemporaryError(f"the server answered {render_status(status)}", wait_s)
    if status != requests.codes.ok:
        raise DownloadError(f"{bare(url)}: the server answered {render_status(status)}", hint=hints.get(status, ""))


def render_status(status: int) -> str:
    """Return "404 Not Found", with the phrase of the standard and not the server's."""
    return f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)


def root_reason(error: BaseException) -> str:
    """Return the system's message ("Connection refused"). Those of the libraries have the whole URL."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    slow = isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError)
    return "the server is silent" if slow else "the connection broke"
