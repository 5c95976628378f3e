# SPDX-License-Identifier: MIT
"""Connections that deliver too slowly are ended.

The timeout of a socket begins anew with every byte that comes, so a server that sends one byte in a while is waited
for without end. A watch counts the time that is waited for a whole piece of an answer, its headers included.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool

PIECE_BYTES = 64 * 1024
PIECE_S = 60.0
"""What may pass until a piece is there: about 1 KiB a second is the lowest rate."""


class Watch:
    """Ends the connections of one request when something is waited for too long."""

    def __init__(self) -> None:
        self.expired = False
        self._since: float | None = None
        self._waited_s, self._bytes = 0.0, 0
        self._sockets: list[socket.socket] = []
        self._done = threading.Event()

    def hold(self, connected: socket.socket) -> None:
        """Take a second name of a connection, to end it if need be."""
        self._sockets.append(connected)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the block."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            since, self._since = self._since, None
            self._waited_s += time.monotonic() - since

    def count(self, moved_bytes: int) -> None:
        """Take note of what has come, or was sent; when it is a piece, the time begins anew."""
        self._bytes += moved_bytes
        if self._bytes >= PIECE_BYTES:
            self._waited_s, self._bytes = 0.0, 0
            if self._since is not None:  # A body is sent while its answer is waited for.
                self._since = time.monotonic()

    @contextmanager
    def started(self) -> Iterator[None]:
        """Look at the time while the block runs."""
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()
            for each in self._sockets:
                each.close()

    def _look(self) -> None:
        while not self._done.wait(PIECE_S / 60):
            since = self._since
            if since is not None and self._waited_s + time.monotonic() - since > PIECE_S:
                self.expired = True
                for each in self._sockets:
                    with suppress(OSError):  # It may have ended by itself.
                        each.shutdown(socket.SHUT_RDWR)


class Adapter(HTTPAdapter):
    """Makes the connections of a session such that its watch knows them."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        """Return a pool of connections, each of which is given to the watch once it is there."""
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        watch = self.watch

        class Watched(pool.ConnectionCls):  # type: ignore[misc]
            def _new_conn(self) -> socket.socket:
                connected: socket.socket = super()._new_conn()
                watch.hold(connected.dup())  # TLS takes the other over, and shakes hands byte by byte too.
                return connected

        pool.ConnectionCls = Watched
        found: HTTPConnectionPool = pool
        return found


class Session(requests.Session):
    """Raises requests' own error for a redirection to what is no address: urllib's ValueError comes through else."""

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Ask, and follow redirections."""
        try:
            return super().request(*args, **options)
        except requests.RequestException:
            raise
        except ValueError as error:  # A port or an address that is none, bytes that are not UTF-8.
            raise requests.exceptions.InvalidURL(str(error)) from error


@contextmanager
def watched(watch: Watch) -> Iterator[requests.Session]:
    """Yield a session for one request, whose connections the watch knows."""
    with Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, Adapter(watch))
        yield session
