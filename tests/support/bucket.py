# SPDX-License-Identifier: MIT
"""A real S3 server for tests, with a door before it that can be told to misbehave.

The server is moto's, over HTTP. The door passes requests on, counts them, and answers some of them itself.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import boto3
import requests
from moto.server import ThreadedMotoServer

from tests.support.http_server import QuietHandler, QuietServer, running

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "cache"
KEY, SECRET, TOKEN = "AKIDBOARDWRIGHT", "the-secret-of-boardwright", "a-token-of-boardwright"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": TOKEN,
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}
"""What a user's environment says, and nothing of the machine that the tests run on."""
REFUSAL = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"


@dataclass(frozen=True)
class Asked:
    """A request as the door saw it."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False, default_factory=dict)


@dataclass
class Bucket:
    """The bucket, its address, and what its door does."""

    url: str
    client: S3Client
    door: Door

    @property
    def location(self) -> str:
        """What `--cache` is given."""
        return f"s3://{BUCKET}/ci?endpoint={self.url}"

    def reset(self) -> None:
        """Empty the bucket and let the door behave."""
        for key in self.list_keys():
            self.client.delete_object(Bucket=BUCKET, Key=key)
        self.door.reset()

    def list_keys(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return sorted(each["Key"] for each in found)

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def write(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, ACL="public-read")


class Door(QuietServer):
    """Passes requests on to a server; `behave` answers one itself by returning True."""

    daemon_threads = True

    def __init__(self, address: str, inner: tuple[str, int]) -> None:
        super().__init__((address, 0), _Handler)
        self.inner = inner
        self.asked: list[Asked] = []
        self.end = threading.Event()
        self.behave: Callable[[_Handler], bool] = lambda _: False
        self.receive: Callable[[_Handler], bytes] = lambda handler: handler.receive()

    def reset(self) -> None:
        self.end.set()
        self.end = threading.Event()
        self.asked.clear()
        self.behave = lambda _: False
        self.receive = lambda handler: handler.receive()

    def count(self, method: str, words: str = "") -> int:
        """Say how many requests there were of a method, with a path that has these words."""
        return sum(each.method == method and words in each.path for each in self.asked)

    def refuse(self, status: int, code: str, *, only: str = "", times: int = 10**6) -> None:
        """Answer with an error from now on: requests that match a pattern of METHOD PATH, so many times."""
        left = [times]

        def behave(handler: _Handler) -> bool:
            if not left[0] or not re.search(only, f"{handler.command} {handler.path}"):
                return False
            left[0] -= 1
            handler.answer(status, REFUSAL.format(code=code, message="no luck today").encode())
            return True

        self.behave = behave

    def cut(self, *, only: str, times: int = 10**6) -> None:
        """Break the connection off in the middle of what is sent."""
        left = [times]

        def behave(handler: _Handler) -> bool:
            if not left[0] or not re.search(only, f"{handler.command} {handler.path}"):
                return False
            left[0] -= 1
            handler.pass_on(half=True)
            return True

        self.behave = behave

    def hang_up(self, *, only: str, times: int) -> None:
        """Break the connection off in the middle of what is received."""
        left = [times]

        def receive(handler: _Handler) -> bytes:
            if not left[0] or not re.search(only, f"{handler.command} {handler.path}"):
                return handler.receive()
            left[0] -= 1
            handler.rfile.read(int(handler.headers["Content-Length"]) // 2)
            handler.reset()
            raise ConnectionResetError

        self.receive = receive

    def hold(self, *, only: str = "") -> None:
        """Say nothing for as long as the test lasts."""

        end = self.end

        def behave(handler: _Handler) -> bool:
            if re.search(only, f"{handler.command} {handler.path}"):
                end.wait(30)
                handler.close_connection = True
                return True
            return False

        self.behave = behave


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Door

    def do_GET(self) -> None:
        self.body = self.server.receive(self)
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers)))
        if not self.server.behave(self):
            self.pass_on()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the base class looks for these names

    def receive(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def pass_on(self, *, half: bool = False, changed: Mapping[str, str] = MappingProxyType({})) -> None:
        """Let the server answer; half of it, or with other headers."""
        inner = http.client.HTTPConnection(*self.server.inner)
        inner.request(self.command, self.path, self.body, dict(self.headers))
        answer = inner.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                self.send_header(name, changed.get(name, value))
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)
        if half:
            self.reset()

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def reset(self) -> None:
        """Hang up without a goodbye."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


@contextmanager
def serve_bucket(address: str = "127.0.0.1") -> Iterator[Bucket]:
    """Start a server with an empty bucket, its door at an address of this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        inner = server.get_host_and_port()
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{inner[0]}:{inner[1]}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        requests.post(f"http://{inner[0]}:{inner[1]}/moto-api/reset", timeout=10)
        client.create_bucket(Bucket=BUCKET)
        door = Door(address, inner)
        with running(door) as url:
            try:
                yield Bucket(url, client, door)
            finally:
                door.end.set()
    finally:
        server.stop()
