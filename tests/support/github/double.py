# SPDX-License-Identifier: MIT
"""A small GitHub that remembers: releases and their assets, as https://docs.github.com/rest/releases says.

    client ──▶ front ──▶ Prism ──▶ back        Prism holds requests and answers against GitHub's own description

The front can be told to misbehave, as a busy GitHub or a bad connection does. It keeps the bodies of uploads to itself,
since Prism takes every body for text: what it passes on is a number in the place of the bytes. Downloads go past Prism,
which would follow GitHub's redirect itself.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.github.back import Back, Handler, Server
from tests.support.github.prism import install, load_examples, serve_prism
from tests.support.github.state import Json, State


class Front(Server):
    """What the client speaks to."""

    def __init__(self, inner: tuple[str, int], back: tuple[str, int], state: State, bodies: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), FrontHandler)
        self.inner = inner
        self.back = back
        self.state = state
        self.bodies = bodies
        self.asked: list[str] = []
        self.violations: list[str] = []
        self.behave: Callable[[FrontHandler], bool] = lambda _: False
        self.receive: Callable[[FrontHandler, int], bytes] = lambda handler, size: handler.rfile.read(size)

    def reset(self) -> None:
        self.asked.clear()
        self.violations.clear()
        self.behave = lambda _: False
        self.receive = lambda handler, size: handler.rfile.read(size)

    def count(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, each)) for each in self.asked)

    def refuse(
        self, status: int, message: str = "", *, only: str = "", times: int = 10**6, headers: Json | None = None
    ) -> None:
        """Answer with an error from now on: requests that match a pattern of METHOD PATH, so many times."""
        left = [times]

        def behave(handler: FrontHandler) -> bool:
            if not left[0] or not re.search(only, f"{handler.command} {handler.path}"):
                return False
            left[0] -= 1
            handler.answer(status, json.dumps({"message": message}).encode(), **headers or {})
            return True

        self.behave = behave


class FrontHandler(Handler):
    """A request of the client."""

    server: Front

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.body = self.server.receive(self, int(self.headers.get("Content-Length") or 0))
        if not self.server.behave(self):
            self.pass_on()

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base class looks for these names

    @property
    def is_upload(self) -> bool:
        return self.command == "POST" and "/assets" in self.path

    def pass_on(self, *, lose: bool = False) -> None:
        """Let GitHub answer; with `lose` the answer gets lost."""
        headers = {name: value for name, value in self.headers.items() if name != "Content-Length"}
        body = self.body
        if self.is_upload:
            number = f"upload {len(self.server.bodies)} {threading.get_ident()}"
            self.server.bodies[number] = body
            body = number.encode()
        is_download = "octet-stream" in self.headers.get("Accept", "")
        inner = http.client.HTTPConnection(*(self.server.back if is_download else self.server.inner))
        inner.request(self.command, self.path, body or None, headers)
        got = inner.getresponse()
        content = got.read()
        self._judge(got)
        if lose:
            return self.hang_up()
        names = ("Link", "Location", "Content-Type")
        return self.answer(got.status, content, **{name: value for name in names if (value := got.getheader(name))})

    def _judge(self, got: http.client.HTTPResponse) -> None:
        for each in json.loads(got.getheader("sl-violations") or "[]"):
            is_starter = "state" in each["location"] and each["code"] == "enum"
            if not is_starter:  # The description does not know that state; the documentation's text does.
                self.server.violations.append(f"{self.command} {self.path}: {each['location']} {each['message']}")

    def hang_up(self) -> None:
        """Break the connection off without a goodbye."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


@contextmanager
def serve_github(log: Path) -> Iterator[Front]:
    """Start all three, with an empty GitHub."""
    place = install()
    state, bodies = State(load_examples(place)), dict[str, bytes]()
    back = Back(state, bodies)
    host, port = back.place
    with back.running(), serve_prism(place, f"http://{host}:{port}", log) as inner:
        front = Front(inner, back.place, state, bodies)
        with front.running():
            yield front
