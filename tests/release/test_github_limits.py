# SPDX-License-Identifier: MIT
"""A GitHub that is slow, endless or wrong: by GITHUB_API_URL it is any server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest

from builder.errors import DownloadError, ReleaseError
from builder.net import http, rate
from builder.net.retry import TemporaryError
from builder.release import github_api
from builder.release.github_api import RETRIES, Api, Server
from builder.release.github_model import ApiFault, GitRef
from builder.release.upload_body import open_body
from tests.support.http_server import Behave, answer, drip, drip_headers, flood, served


@contextmanager
def asked(behave: Behave) -> Iterator[Api]:
    with served(behave) as address:
        yield Api(Server(address, token="t0ken"), replace(RETRIES, attempts=1))


@pytest.mark.parametrize("behave", [drip, drip_headers])
@pytest.mark.parametrize("ask", ["get", "digest"])
def test_a_slow_answer_is_left(monkeypatch: pytest.MonkeyPatch, behave: Behave, ask: str) -> None:
    monkeypatch.setattr(rate, "PIECE_S", 0.5)
    with asked(behave) as api, pytest.raises(DownloadError, match="the server sends less than"):
        api.get("/x", GitRef) if ask == "get" else api.digest("/x")


def test_a_slow_upload_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent counts, however long it takes, until the answer is waited for."""
    monkeypatch.setattr(rate, "PIECE_S", 0.6)
    monkeypatch.setattr(rate, "PIECE_BYTES", 1024 * 1024)
    size = 20 * 1024 * 1024

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.setsockopt(1, 8, 64 * 1024)  # SO_RCVBUF: what was sent was nearly received.
        for _ in range(20):
            handler.rfile.read(size // 20)
            threading.Event().wait(0.1)
        answer(handler, b'{"id": 1, "name": "x", "state": "uploaded", "size": 1}')

    with asked(behave) as api, open_body(bytes(size), "x") as body:
        assert api.upload(f"{api.server.api}/up", "x", body).name == "x"


@pytest.mark.parametrize("name", ["ANSWER_BYTES", "ASSET_BYTES"])
def test_an_endless_answer_is_left(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(github_api, name, 1000)

    asset = name == "ASSET_BYTES"
    with asked(flood) as api, pytest.raises(DownloadError, match="has no end" if asset else "is longer than"):
        api.digest("/x") if asset else api.read("/x", github_api.ANSWER_BYTES)


def test_a_list_that_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_api, "MOST_PAGES", 3)
    link = '<https://elsewhere.example/y?page=2>; rel="next"'
    with (
        asked(lambda handler: answer(handler, b"[{}]", header=("Link", link))) as api,
        pytest.raises(DownloadError, match="github x: the list has no end"),
    ):
        list(api.pages("/repos/x", ApiFault))


@pytest.mark.parametrize("content", [b"[" * 200_000, b"<html>", b"\xff", b"9" * 5000])
def test_an_answer_that_cannot_be_read(content: bytes) -> None:
    with asked(lambda handler: answer(handler, content)) as api, pytest.raises(DownloadError, match="is no JSON"):
        api.get("/repos/x", GitRef)


def test_a_packed_answer_is_not_unpacked() -> None:
    """It could be of any size, and was not asked for."""
    headers: list[str | None] = []

    def behave(handler: BaseHTTPRequestHandler) -> None:
        headers.append(handler.headers["Accept-Encoding"])
        answer(handler, b"\x1f\x8b", header=("Content-Encoding", "gzip"))

    with asked(behave) as api, pytest.raises(DownloadError, match="is no JSON"):
        api.get("/repos/x", GitRef)
    assert headers == ["identity"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"message": "a\\n::error::b t0ken"}', r"GitHub answered 400: a\n::error::b ***"),
        (b'{"message": "x", "errors": 7}', "GitHub answered 400: Bad Request"),
        (b"[" * 100_000, "GitHub answered 400: Bad Request"),
    ],
)
def test_words_of_the_server_are_one_line(content: bytes, words: str) -> None:
    with asked(lambda handler: answer(handler, content, status=400)) as api, pytest.raises(ReleaseError) as caught:
        api.get("/repos/x", GitRef)
    assert caught.value.message == f"github x: {words}"


def test_the_reason_phrase_of_the_server_is_not_repeated() -> None:
    with (
        asked(lambda handler: answer(handler, b"", status=502)) as api,
        pytest.raises(TemporaryError, match=f"the server answered {http.render_status(502)}"),
    ):
        api.once("GET", "/x")
