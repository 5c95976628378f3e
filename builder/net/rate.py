# SPDX-License-Identifier: MIT
"""Connections that fail if a response is too slow or too long.

The timeout of a socket restarts with every byte, so a server that sends single bytes could block us for ever. Here the
total wait for a piece of a response is limited, headers included. `Measured` does this for each connection of urllib3,
and so for those of requests and botocore.
"""

from __future__ import annotations

import errno
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool

from builder.units import render_size

PIECE_BYTES = 64 * 1024
PIECE_S = 60.0
"""Longest wait for a piece: the lowest rate is about 1 KiB a second."""
HEAD_BYTES = 1024 * 1024
"""Of status and headers. http.client reads 100 headers of 64 KiB, and skips any number of 1xx answers."""
MOST_REDIRECTS = 5
TOO_SLOW = f"the server sends less than {PIECE_BYTES / PIECE_S / 1024:.0f} KiB a second"


class AnswerError(OSError):
    """An answer that is not read to its end; `strerror` says why. The libraries hide it in errors of their own."""


def find_answer_error(error: BaseException | None) -> AnswerError | None:
    """Return the reason for an error of a library, where an answer was not read to its end."""
    while error is not None and not isinstance(error, AnswerError):
        error = error.__cause__ or error.__context__
    return error


class LimitedResponse(io.RawIOBase):
    """The bytes of one answer: first the head, then the body."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._limit_bytes: int | None = HEAD_BYTES
        self._is_head = True
        self._raw = raw
        self._waited_s = 0.0
        self._piece_bytes = self._read_bytes = 0

    def begin_body(self, limit_bytes: int | None) -> None:
        """Note that the head was read. `limit_bytes` is the limit of the answer; None: no limit."""
        self._is_head, self._limit_bytes = False, limit_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes, as of any raw stream. Raises AnswerError, and TimeoutError if none arrive."""
        begun = time.monotonic()
        count = self._raw.readinto(buffer) or 0
        self._waited_s += time.monotonic() - begun
        self._piece_bytes += count
        self._read_bytes += count
        if self._piece_bytes >= PIECE_BYTES and not self._is_head:
            self._waited_s, self._piece_bytes = 0.0, 0
        if count and self._waited_s > PIECE_S:
            raise AnswerError(errno.ETIMEDOUT, TOO_SLOW)
        if self._limit_bytes is not None and self._read_bytes > self._limit_bytes:
            raise AnswerError(errno.EFBIG, f"the server sends more than {render_size(self._limit_bytes)}")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Socket:
    """A connected socket whose files are the answers of a connection."""

    def __init__(self, connected: Any, connection: Measured) -> None:
        self._connected = connected
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connected, name)

    def makefile(self, mode: str, buffering: int = -1) -> Any:
        """Return a file to read the next answer from; with 0, one without a buffer."""
        answer = self._connection.answer = LimitedResponse(self._connected.makefile(mode, 0))
        return io.BufferedReader(answer) if buffering else answer


class Measured:
    """Base class that measures the answers of a class of connections (urllib3.connection.HTTPConnection)."""

    answer: LimitedResponse
    """The one that is being read."""
    sock: Any

    def connect(self) -> None:
        """Connect, with the handshake of TLS; both have the timeout of the socket."""
        super().connect()  # type: ignore[misc]
        self.sock = _Socket(self.sock, self)

    def getresponse(self) -> Any:
        """Return the answer, its head read."""
        answer = super().getresponse()  # type: ignore[misc]
        self.answer.begin_body(self.limit_body(answer.status))
        return answer

    def limit_body(self, status: int) -> int | None:
        """Return the limit of an answer in bytes; None: no limit."""
        return None

    def _tunnel(self) -> None:
        """Open the tunnel of a proxy, whose answer arrives before TLS begins."""
        connected, self.sock = self.sock, _Socket(self.sock, self)
        super()._tunnel()  # type: ignore[misc]
        self.sock = connected


class Adapter(HTTPAdapter):
    """Makes the connections of a session measured ones."""

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        """Return a pool of such connections."""
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        if not issubclass(pool.ConnectionCls, Measured):
            pool.ConnectionCls = measure(pool.ConnectionCls)
        connections: HTTPConnectionPool = pool
        return connections

    def send(self, *args: Any, **options: Any) -> requests.Response:
        """Send a request, without following redirections; only the headers of a redirection are read.

        requests would read and unpack its whole body.
        """
        answer = super().send(*args, **options)
        if answer.is_redirect:
            answer.raw.close()
            answer.raw = io.BytesIO()
        return answer


def measure(connection: type[Any], by: type[Measured] = Measured) -> type[Any]:
    """Return a class of connections with its answers measured."""
    return type(connection.__name__, (by, connection), {})


class Session(requests.Session):
    """Raises requests' own error for a redirection to an invalid address, instead of urllib's ValueError."""

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Send a request, and follow redirections."""
        try:
            return super().request(*args, **options)
        except requests.RequestException:
            raise
        except ValueError as error:  # An invalid port or address, bytes that are not UTF-8.
            raise requests.exceptions.InvalidURL(str(error)) from error


@contextmanager
def measured() -> Iterator[requests.Session]:
    """Yield a session whose answers are measured."""
    with Session() as session:
        session.max_redirects = MOST_REDIRECTS
        for scheme in ("http://", "https://"):
            session.mount(scheme, Adapter())
        yield session
