# SPDX-License-Identifier: MIT
"""GitHub's REST API: requests, checked answers, and error messages.

Temporary failures (a busy server, a rate limit, a broken connection) are retried. The token goes into the
Authorization header and nowhere else; no message has it. The answers are documented at https://docs.github.com/rest
(limits: /rest/using-the-rest-api/rate-limits-for-the-rest-api).
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import TypeAdapter, ValidationError

from builder import __version__
from builder.errors import DownloadError, RecipeError, ReleaseError
from builder.net import http
from builder.net.rate import measured
from builder.net.retry import RetryPolicy, TemporaryError, retry
from builder.recipe.described import Described, explain
from builder.release.github_model import Asset, Refusal
from builder.release.upload_body import Body
from builder.system.files import load_json
from builder.text import make_line
from builder.units import GIB, MIB

VERSION = "2022-11-28"
"""Of the API; GitHub keeps a version for two years after the next."""
JSON, BYTES = "application/vnd.github+json", "application/octet-stream"
TIMEOUT_S = (10.0, 60.0)
"""Timeouts of the connection, and of each piece of an answer."""
SECONDARY_S = 60.0
"""Wait for a secondary limit that names no time."""
ANSWER_BYTES = 64 * MIB
"""Limit of an answer: no answer of the API is larger, and no text of ours."""
ASSET_BYTES = 2 * GIB
"""Limit of GitHub for an asset."""
LARGEST_S = 1e11
"""More seconds than any date has that can be written."""
LONGEST_WORDS = 500
MOST_PAGES = 100
"""GitHub lists no more than 10,000 releases."""
RETRIES = RetryPolicy(
    attempts=6, longest_s=1200.0, total_s=3600.0, hint="run the same again later: it goes on from here"
)
"""GitHub's limits are of an hour at most, and a job of a CI system may not wait for ever."""
MAY_WRITE = "the token needs to write `contents` of this repository (in a workflow: permissions: contents: write)"
Content = TypeVar("Content")


class AlreadyExistsError(Exception):
    """GitHub has something of that name already (422, already_exists)."""


@dataclass(frozen=True)
class Server:
    """Addresses of a GitHub server, and the token for it."""

    api: str = "https://api.github.com"
    web: str = "https://github.com"
    token: str = field(default="", repr=False)

    def scrub(self, text: str) -> str:
        """Return a text without the token."""
        return text.replace(self.token, "***") if self.token else text


def load_server(environment: Mapping[str, str] = os.environ) -> Server:
    """Return the GitHub that the environment names: GITHUB_API_URL, GITHUB_SERVER_URL, GITHUB_TOKEN or GH_TOKEN.

    Raises RecipeError where there is no token, or it would be sent without encryption to another machine.
    """
    web = (environment.get("GITHUB_SERVER_URL") or Server.web).rstrip("/")
    enterprise = f"{web}/api/v3" if web != Server.web else Server.api
    api = (environment.get("GITHUB_API_URL") or enterprise).rstrip("/")
    for name, url in (("GITHUB_API_URL", api), ("GITHUB_SERVER_URL", web)):
        _check_address(name, url)
    token = environment.get("GITHUB_TOKEN") or environment.get("GH_TOKEN") or ""
    if not token.strip():
        hint = f"set GITHUB_TOKEN (or GH_TOKEN); {MAY_WRITE}"
        raise RecipeError("--to github: there is no token to write with", hint=hint)
    if not (token := token.strip()).isascii() or not token.isprintable() or " " in token:
        raise RecipeError("--to github: the token has characters that no token has", hint="set GITHUB_TOKEN again")
    return Server(api, web, token)


def _check_address(name: str, url: str) -> None:
    parts = urlsplit(url)
    if "@" in parts.netloc or not parts.hostname or parts.scheme not in ("http", "https"):
        raise RecipeError(f"{name} is no plain address of a server", hint="such as https://api.github.com")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise RecipeError(f"{name}: {url} would show the token to everybody on the way", hint="use https")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class ApiResponse:
    """A complete answer of GitHub."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    more: str = ""
    """The query of the next page of a list."""

    @property
    def is_success(self) -> bool:
        """Return whether the request succeeded."""
        return self.status < 400

    def number(self, header: str) -> float:
        """Return the number in a header; 0 without a number."""
        value = self.headers.get(header, "")
        return min(float(value), LARGEST_S) if value.isdecimal() else 0.0


class Api:
    """Requests to GitHub, with retries. Paths begin with a slash; a full address is taken as it is."""

    def __init__(self, server: Server, policy: RetryPolicy) -> None:
        self.server = server
        self.policy = policy

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.server.token}"
        return request

    def get(self, path: str, kind: type[Described]) -> Described | None:
        """Return the resource at a path; None for 404."""
        answer = retry(self.policy, self._name(path), partial(self.once, "GET", path, absent=True))
        return None if answer.status == requests.codes.not_found else self.load(answer, kind)

    def pages(self, path: str, kind: type[Described]) -> Iterator[Described]:
        """Yield every entry of a list."""
        url = f"{path}?per_page=100"
        for _ in range(MOST_PAGES):
            answer = retry(self.policy, self._name(path), partial(self.once, "GET", url))
            yield from self._validate(answer, TypeAdapter(list[kind]))  # type: ignore[valid-type]
            if not answer.more:
                return
            url = f"{path}?{answer.more}"
        raise DownloadError(f"{self._name(path)}: the list has no end", hint=f"is {self.server.api} a GitHub?")

    def read(self, path: str, limit: int) -> bytes:
        """Return the bytes of an asset; DownloadError for more than `limit`."""
        act = partial(self.once, "GET", path, headers={"Accept": BYTES}, limit=limit)
        return retry(self.policy, self._name(path), act).content

    def digest(self, path: str) -> str:
        """Return the SHA-256 of an asset, by downloading it."""

        def act() -> str:
            digest, size = hashlib.sha256(), 0
            with self._open_answer("GET", path, headers={"Accept": BYTES}) as answer:
                if not answer.ok:
                    raise self._judge(self._read(answer, ANSWER_BYTES), path)
                for piece in http.pieces(answer):
                    digest.update(piece)
                    size += len(piece)
                    if size > ASSET_BYTES:
                        raise DownloadError(f"{self._name(path)} has no end", hint=http.LOOK)
            return digest.hexdigest()

        return retry(self.policy, self._name(path), act)

    def delete(self, path: str) -> None:
        """Delete the resource at a path, if it exists."""
        retry(self.policy, self._name(path), partial(self.once, "DELETE", path, absent=True))

    def change(self, path: str, json: Mapping[str, Any], kind: type[Described]) -> Described:
        """Change the resource at a path, and return it. A repeated request has the same effect, so it is retried."""
        return self.load(retry(self.policy, self._name(path), partial(self.once, "PATCH", path, json=json)), kind)

    def upload(self, url: str, name: str, body: Body) -> Asset:
        """Upload a file and return the asset, without retries: the caller checks the state after an error."""
        if urlsplit(url).scheme != urlsplit(self.server.api).scheme:
            raise ReleaseError(f"GitHub wants uploads at {url}, which is not as safe as {self.server.api}")
        headers = {"Content-Type": BYTES}  # The only type that GitHub's description of its API knows here.
        return self.load(self.once("POST", url, params={"name": name}, data=body, headers=headers), Asset)

    def load(self, answer: ApiResponse, kind: type[Described]) -> Described:
        """Return the content of an answer; DownloadError if it is no JSON, or of another kind."""
        return self._validate(answer, TypeAdapter(kind))

    def _validate(self, answer: ApiResponse, kind: TypeAdapter[Content]) -> Content:
        try:
            return kind.validate_python(load_json(answer.content))
        except ValidationError as error:
            problem = self.server.scrub(explain(error))
        except ValueError:
            problem = "the answer is no JSON"
        hint = f"is {self.server.api} the API of a GitHub? GITHUB_API_URL names it"
        raise DownloadError(f"{self._name(answer.url)}: {problem}", hint=hint)

    def once(
        self, method: str, path: str, *, absent: bool = False, limit: int = ANSWER_BYTES, **more: Any
    ) -> ApiResponse:
        """Send one request. Raises TemporaryError, AlreadyExistsError, and ReleaseError for a permanent refusal.

        absent  accept 404 as an answer
        limit   limit of the answer in bytes; DownloadError for a longer one
        """
        with self._open_answer(method, path, **more) as response:
            answer = self._read(response, limit if response.ok else ANSWER_BYTES)
        if answer.is_success or (absent and answer.status == requests.codes.not_found):
            return answer
        raise self._judge(answer, path)

    @contextmanager
    def _open_answer(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Iterator[requests.Response]:
        """Yield an answer after its headers have arrived."""
        url = path if "://" in path else self.server.api + path
        common = {"User-Agent": f"boardwright/{__version__}", "X-GitHub-Api-Version": VERSION, "Accept": JSON}
        common |= {"Accept-Encoding": "identity"}  # Unpacked, an answer could be of any size.
        with http.request_errors("GitHub", action="asked"), measured() as session:
            session.auth = self._sign  # A function: else requests would take what ~/.netrc says instead.
            with session.request(
                method, url, timeout=TIMEOUT_S, stream=True, headers={**common, **(headers or {})}, **more
            ) as answer:
                yield answer

    def _read(self, response: requests.Response, limit: int) -> ApiResponse:
        content = http.read_all(response.url, response, limit=limit)
        # The rest of the next page's address could be of another server.
        more = urlsplit(response.links.get("next", {}).get("url", "")).query
        return ApiResponse(response.url, response.status_code, response.headers, content, more)

    def _judge(self, answer: ApiResponse, path: str) -> Exception:
        """Return the error for an unsuccessful answer."""
        status = answer.status
        reason = self._read_reason(answer)
        if status in (403, 429) and (wait_s := self._find_wait(answer, reason)):
            return TemporaryError("the limit of requests is used up", wait_s)
        if status in (408, 429) or status >= 500:
            return TemporaryError(f"the server answered {http.render_status(status)}", answer.number("Retry-After"))
        if status == requests.codes.unprocessable and "already_exists" in reason:
            return AlreadyExistsError(reason)
        hints = {
            401: "the token is wrong, expired or revoked: make a new one and set GITHUB_TOKEN",
            403: MAY_WRITE,
            404: f"is the name right, and may the token see it? {MAY_WRITE}",
        }
        return ReleaseError(f"{self._name(path)}: GitHub answered {status}: {reason}", hint=hints.get(status, ""))

    def _find_wait(self, answer: ApiResponse, reason: str) -> float:
        """Return the wait for a rate limit, in seconds; 0 for an answer without a limit."""
        if retry_after_s := answer.number("Retry-After"):
            return retry_after_s
        if answer.headers.get("X-RateLimit-Remaining") == "0":
            return max(1.0, answer.number("X-RateLimit-Reset") - self.policy.now() + 1)
        return SECONDARY_S if "rate limit" in reason.lower() else 0.0

    def _read_reason(self, answer: ApiResponse) -> str:
        """Return GitHub's own reason for a refusal, on one line."""
        phrase = http.render_status(answer.status).partition(" ")[2]
        try:
            reason = Refusal.model_validate(load_json(answer.content)).text
        except ValueError:
            reason = ""
        return make_line(self.server.scrub(reason or phrase)[:LONGEST_WORDS])

    def _name(self, path: str) -> str:
        """Return the name of a path in messages: without host and query."""
        return f"github {urlsplit(path).path.removeprefix('/repos/')}"
