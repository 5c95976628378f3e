# SPDX-License-Identifier: MIT
"""A small GitHub that remembers: releases and their assets, as https://docs.github.com/rest/releases says.

    client ──▶ front ──▶ Prism ──▶ back        Prism holds requests and answers against GitHub's own description

The front can be told to misbehave, as a busy GitHub or a bad connection does. It keeps the bodies of uploads to itself,
since Prism takes every body for text: what it passes on is a number in the place of the bytes. Downloads go past Prism,
which would follow GitHub's redirect itself.
"""

from __future__ import annotations

import copy
import hashlib
import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.github.prism import install, load_examples, serve_prism
from tests.support.http_server import running

TOKEN = "ghp_boardwrightTOKEN0123456789"
REPOSITORY = "octo/images"
COMMIT = "a" * 40
REPO_PATH = f"/repos/{REPOSITORY}"
Json = dict[str, Any]


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, **body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


@dataclass
class State:
    """What is at GitHub."""

    examples: dict[str, Any]
    base: str = ""
    releases: dict[int, Json] = field(default_factory=dict)
    assets: dict[int, tuple[int, Json, bytes]] = field(default_factory=dict)
    """Id of the release, the asset, its content."""
    tags: dict[str, str] = field(default_factory=dict)
    latest: str = ""
    page: int = 100
    digests: bool = True
    """Whether the server knows the digests of assets."""
    next_id: int = 1
    lock: Any = field(default_factory=threading.RLock)

    def number(self) -> int:
        self.next_id += 1
        return self.next_id

    def release(self, tag: str) -> Json:
        (found,) = [each for each in self.releases.values() if each["tag_name"] == tag]
        return found

    def contents(self, tag: str) -> dict[str, bytes]:
        wanted = self.release(tag)["id"]
        return {asset["name"]: content for of, asset, content in self.assets.values() if of == wanted}

    def add_release(self, **values: Any) -> Json:
        made: Json = copy.deepcopy(self.examples["release"])
        identity = self.number()
        url = f"{self.base}{REPO_PATH}/releases/{identity}"
        made.update(id=identity, url=url, assets_url=f"{url}/assets", upload_url=f"{url}/assets{{?name,label}}")
        made.update(assets=[], body="", draft=False, prerelease=False, immutable=False, name=None)
        made.update(values)
        made["html_url"] = f"https://github.com/{REPOSITORY}/releases/tag/{made['tag_name']}"
        self.releases[identity] = made
        return made

    def add_asset(self, release_id: int, name: str, content: bytes, *, state: str = "uploaded") -> Json:
        made: Json = copy.deepcopy(self.examples["release-asset"])
        identity = self.number()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}" if self.digests and state == "uploaded" else None
        made.update(id=identity, name=re.sub(r"[^A-Za-z0-9._+-]", ".", name), state=state, size=len(content))
        made.update(digest=digest, label="", content_type="application/octet-stream")
        made["url"] = f"{self.base}{REPO_PATH}/releases/assets/{identity}"
        self.assets[identity] = (release_id, made, content)
        return made


class Server(ThreadingHTTPServer):
    """Serves in a thread of its own until the block ends."""

    daemon_threads = True
    request_queue_size = 50

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: connections that break are part of the tests."""

    @property
    def place(self) -> tuple[str, int]:
        return "127.0.0.1", self.server_address[1]

    def running(self) -> AbstractContextManager[str]:
        return running(self)


class Back(Server):
    """GitHub itself."""

    def __init__(self, state: State, bodies: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Back)
        self.state = state
        self.bodies = bodies


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        return


class _Back(_Handler):
    server: Back

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            with self.server.state.lock:
                self.dispatch(unquote(parts.path), asked, body)
        except Refused as refused:
            said = {"documentation_url": "https://docs.github.com/rest", "status": str(refused.status)}
            self.answer(refused.status, json.dumps({**said, **refused.body}).encode())

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base class looks for these names

    def dispatch(self, path: str, asked: Json, body: bytes) -> None:
        if path.startswith("/objects/"):
            return self.answer(200, self.server.state.assets[int(path.rpartition("/")[2])][2])
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, message="Bad credentials")
        for method, pattern, act in ROUTES:
            match = re.fullmatch(f"{REPO_PATH}{pattern}", path)
            if match and method == self.command:
                return act(self, self.server.state, asked, body, *match.groups())
        raise Refused(404, message="Not Found")

    def say(self, value: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode())

    def say_page(self, values: list[Json], asked: Json) -> None:
        size, page = min(int(asked.get("per_page", 30)), self.server.state.page), int(asked.get("page", 1))
        more = f"https://elsewhere.example{urlsplit(self.path).path}?per_page={size}&page={page + 1}"
        link = f'<{more}>; rel="next"' if len(values) > page * size else ""
        self.answer(200, json.dumps(values[(page - 1) * size : page * size]).encode(), Link=link)

    def repository(self, state: State, asked: Json, body: bytes) -> None:
        # GitHub's own example lacks the language that its schema wants, in the repository it is a fork of too.
        kept = {
            key: value for key, value in state.examples["full-repository-default-response"].items() if key != "source"
        }
        self.say({**kept, "full_name": REPOSITORY, "language": None})

    def ref(self, state: State, asked: Json, body: bytes, tag: str) -> None:
        if tag not in state.tags:
            raise Refused(404, message="Not Found")
        url = f"{state.base}{REPO_PATH}/git/refs/tags/{tag}"
        this = {"type": "commit", "sha": state.tags[tag], "url": url}
        self.say({"ref": f"refs/tags/{tag}", "node_id": "x", "url": url, "object": this})

    def list_releases(self, state: State, asked: Json, body: bytes) -> None:
        self.say_page(sorted(state.releases.values(), key=lambda each: -each["id"]), asked)

    def make_release(self, state: State, asked: Json, body: bytes) -> None:
        wanted = json.loads(body)
        if any(each["tag_name"] == wanted["tag_name"] and not each["draft"] for each in state.releases.values()):
            errors = [{"resource": "Release", "code": "already_exists", "field": "tag_name"}]
            raise Refused(422, message="Validation Failed", errors=errors)
        self.say(state.add_release(**wanted), 201)

    def change_release(self, state: State, asked: Json, body: bytes, identity: str) -> None:
        wanted = json.loads(body)
        made = state.releases[int(identity)]
        if wanted.pop("make_latest", "legacy") == "true":
            if wanted["prerelease"]:
                raise Refused(422, message="Validation Failed", errors=[])
            state.latest = made["tag_name"]
        made.update(wanted)
        self.say(made)

    def delete_release(self, state: State, asked: Json, body: bytes, identity: str) -> None:
        del state.releases[int(identity)]
        self.answer(204, b"")

    def list_assets(self, state: State, asked: Json, body: bytes, identity: str) -> None:
        self.say_page([asset for of, asset, _ in state.assets.values() if of == int(identity)], asked)

    def upload(self, state: State, asked: Json, body: bytes, identity: str) -> None:
        content = self.server.bodies.pop(body.decode())
        if int(identity) not in state.releases:
            raise Refused(404, message="Not Found")
        if any(of == int(identity) and asset["name"] == asked["name"] for of, asset, _ in state.assets.values()):
            errors = [{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}]
            raise Refused(422, message="Validation Failed", errors=errors)
        self.say(state.add_asset(int(identity), asked["name"], content), 201)

    def read_asset(self, state: State, asked: Json, body: bytes, identity: str) -> None:
        asset = state.assets[int(identity)][1]
        if "octet-stream" in self.headers.get("Accept", ""):
            host, port = self.server.place
            return self.answer(302, b"", Location=f"http://{host}:{port}/objects/{identity}")
        return self.say(asset)

    def delete_asset(self, state: State, asked: Json, body: bytes, identity: str) -> None:
        del state.assets[int(identity)]
        self.answer(204, b"")


ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("GET", "", _Back.repository),
    ("GET", "/git/ref/tags/(.+)", _Back.ref),
    ("GET", "/releases", _Back.list_releases),
    ("POST", "/releases", _Back.make_release),
    ("PATCH", r"/releases/(\d+)", _Back.change_release),
    ("DELETE", r"/releases/(\d+)", _Back.delete_release),
    ("GET", r"/releases/(\d+)/assets", _Back.list_assets),
    ("POST", r"/releases/(\d+)/assets", _Back.upload),
    ("GET", r"/releases/assets/(\d+)", _Back.read_asset),
    ("DELETE", r"/releases/assets/(\d+)", _Back.delete_asset),
]


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


class FrontHandler(_Handler):
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
