# SPDX-License-Identifier: MIT
"""HTTP servers in a thread, one that answers as a test says, and the ways in which answers go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behave = Callable[[BaseHTTPRequestHandler], None]


class QuietHandler(BaseHTTPRequestHandler):
    """Handles requests without a line on stderr for each."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        return


class QuietServer(ThreadingHTTPServer):
    """Serves without a traceback on stderr for each connection that breaks: these are part of the tests."""

    def handle_error(self, request: object, client_address: object) -> None:
        return


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """Run a server in a thread and yield its address; it is closed at the end of the block."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://{server.server_address[0]!s}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def served(behave: Behave) -> Iterator[str]:
    """Yield the address of a server whose every answer is made by a function."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            behave(self)

        do_HEAD = do_POST = do_CONNECT = do_GET  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with running(server) as url:
        yield url


def answer(
    handler: BaseHTTPRequestHandler, content: bytes, *, status: int = 200, header: tuple[str, str] = ("X", "x")
) -> None:
    handler.send_response(status, "what the server calls it")
    for name, value in (("Content-Length", str(len(content))), header):
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content)


def drip(handler: BaseHTTPRequestHandler, *, status: int = 200) -> None:
    """Send a body byte by byte, for ten seconds."""
    handler.send_response(status)
    handler.end_headers()
    _send(handler, b" ", pause_s=0.05)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    """Send a header byte by byte, for ten seconds."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    _send(handler, b"x", pause_s=0.05)


def flood(handler: BaseHTTPRequestHandler, *, status: int = 200) -> None:
    """Send a body that is 100 MiB long, and says nothing of its length."""
    handler.send_response(status)
    handler.end_headers()
    _send(handler, b" " * 512 * 1024)


def go_on(handler: BaseHTTPRequestHandler) -> None:
    """Ask for the rest of the request, again and again, for ten seconds."""
    _send(handler, b"HTTP/1.1 100 Continue\r\n\r\n" * 100, pause_s=0.05)


def _send(handler: BaseHTTPRequestHandler, piece: bytes, *, pause_s: float = 0.0) -> None:
    for _ in range(200):
        try:
            handler.wfile.write(piece)
        except OSError:
            return
        if pause_s:
            threading.Event().wait(pause_s)
