# SPDX-License-Identifier: MIT
"""A server that answers as the path says, also in every wrong way that a real one does."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from tests.support.http_server import QuietHandler, QuietServer

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(QuietHandler):
    """Behaves as the first part of the path says; counts what is asked for."""

    server: Server

    def do_GET(self) -> None:
        word = self.path.strip("/").split("/")[0].split("?")[0]
        self.server.asked[word] += 1
        behave: Callable[[], None] = getattr(self, f"_{word}", self._missing)
        behave()

    def _send(self, content: bytes, *, status: int = 200, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def _good(self) -> None:
        self._send(CONTENT)

    def _missing(self) -> None:
        self._send(b"nothing here", status=404)

    def _busy(self) -> None:
        first = self.server.asked["busy"] == 1
        self._send(b"later", status=503, Retry_After="0") if first else self._good()

    def _limit(self) -> None:
        first = self.server.asked["limit"] == 1
        self._send(b"later", status=429, Retry_After="7") if first else self._good()

    def _broken(self) -> None:
        self._send(b"", status=500)

    def _private(self) -> None:
        self._send(b"", status=401)

    def _cut(self) -> None:
        first = self.server.asked["cut"] == 1
        self._send(CONTENT[:100_000] if first else CONTENT, length=len(CONTENT))

    def _other(self) -> None:
        self._send(CONTENT[::-1])

    def _silent(self) -> None:
        self.server.release.wait(10)

    def _stalls(self) -> None:
        self._send(CONTENT[:1000], length=len(CONTENT))
        self.server.release.wait(10)

    def _talks(self) -> None:
        self.send_response(418, "\x1b]0;owned\x07 ::error::owned")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _drips(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self._drip(b"x")

    def _drips_chunks(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._drip(b"1\r\nx\r\n")

    def _drips_without_a_length(self) -> None:
        self.send_response(200)
        self.end_headers()
        self._drip(b"x")

    def _drips_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self._drip(b"x")

    def _drip(self, piece: bytes) -> None:
        with contextlib.suppress(OSError):  # The client hangs up.
            while not self.server.release.wait(0.02):
                self.wfile.write(piece)

    def _slow(self) -> None:
        time.sleep(0.3)
        self._good()

    def _moved(self) -> None:
        self._send(b"", status=302, Location="/good")

    def _local(self) -> None:
        self._send(b"", status=302, Location="file:///etc/passwd")

    def _nowhere(self) -> None:
        self._send(b"", status=302, Location=unquote(self.path.removeprefix("/nowhere/"), "latin-1"))

    def _round(self) -> None:
        self._send(b"", status=302, Location="/round")

    def _labelled(self) -> None:
        self._send(CONTENT, Content_Encoding="gzip")

    def _unsized(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)

    def _key(self) -> None:
        self._send(self.server.key)


class Server(QuietServer):
    """The server and what it remembers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[str] = Counter()
        self.release = threading.Event()
        self.key = b""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name != ".gnupg")
