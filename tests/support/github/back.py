# SPDX-License-Identifier: MIT
"""GitHub itself in the double: requests that Prism has checked, answered from the state."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.github.state import REPO_PATH, REPOSITORY, TOKEN, Json, Refused, State
from tests.support.http_server import QuietHandler, QuietServer, running


class Server(QuietServer):
    """Serves in a thread of its own until the block ends."""

    daemon_threads = True
    request_queue_size = 50

    @property
    def place(self) -> tuple[str, int]:
        return "127.0.0.1", self.server_address[1]

    def running(self) -> AbstractContextManager[str]:
        return running(self)


class Back(Server):
    """GitHub itself."""

    def __init__(self, state: State, bodies: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), BackHandler)
        self.state = state
        self.bodies = bodies


class Handler(QuietHandler):
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


class BackHandler(Handler):
    server: Back

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            with self.server.state.lock:
                self.dispatch(unquote(parts.path), asked, body)
        except Refused as refused:
            fields = {"documentation_url": "https://docs.github.com/rest", "status": str(refused.status)}
            self.answer(refused.status, json.dumps({**fields, **refused.body}).encode())

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
    ("GET", "", BackHandler.repository),
    ("GET", "/git/ref/tags/(.+)", BackHandler.ref),
    ("GET", "/releases", BackHandler.list_releases),
    ("POST", "/releases", BackHandler.make_release),
    ("PATCH", r"/releases/(\d+)", BackHandler.change_release),
    ("DELETE", r"/releases/(\d+)", BackHandler.delete_release),
    ("GET", r"/releases/(\d+)/assets", BackHandler.list_assets),
    ("POST", r"/releases/(\d+)/assets", BackHandler.upload),
    ("GET", r"/releases/assets/(\d+)", BackHandler.read_asset),
    ("DELETE", r"/releases/assets/(\d+)", BackHandler.delete_asset),
]
