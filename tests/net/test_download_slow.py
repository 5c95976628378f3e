# SPDX-License-Identifier: MIT
"""Downloads from servers that are slow, endless or talkative: given up after a time or a size."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from builder.errors import DownloadError
from builder.net.download import fetch, fetch_key
from builder.net.http import open_url, read_all
from builder.units import MIB
from tests.support.download_server import CONTENT, DIGEST, Server
from tests.support.http_server import answer as answer_with
from tests.support.http_server import drip_headers, flood, go_on, served

pytestmark = pytest.mark.usefixtures("quick_retries")


@pytest.mark.parametrize("path", ["drips", "drips_chunks", "drips_without_a_length", "drips_headers"])
def test_a_server_that_sends_byte_by_byte_is_left(
    path: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.net.rate.PIECE_S", 0.3)
    begun = time.monotonic()
    with pytest.raises(DownloadError, match=r"the server sends less than .* KiB a second, 4 times"):
        fetch(server.url(path), sha256=DIGEST, cache=tmp_path)
    assert time.monotonic() - begun < 10
    assert server.asked[path] == 4


def test_what_comes_with_a_redirection_is_not_read(tmp_path: Path) -> None:
    """requests would keep all of it in memory, unpacked."""
    sent: list[int] = []

    def behave(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/good":
            answer_with(handler, CONTENT)
            return
        handler.send_response(302)
        handler.send_header("Location", "/good")
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while len(sent) < 1000:
                handler.wfile.write(bytes(MIB))
                sent.append(MIB)

    with served(behave) as address:
        assert fetch(f"{address}/x", sha256=DIGEST, cache=tmp_path).read_bytes() == CONTENT
    assert len(sent) < 100


def test_an_answer_that_never_begins_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.net.rate.HEAD_BYTES", 5000)
    with served(go_on) as address, pytest.raises(DownloadError, match=r"sends more than 4\.9 KiB, 4 times"):
        fetch(f"{address}/x", sha256=DIGEST, cache=tmp_path)


def test_a_head_has_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.net.rate.PIECE_BYTES", 10)
    monkeypatch.setattr("builder.net.rate.PIECE_S", 0.3)
    with served(go_on) as address, pytest.raises(DownloadError, match=r"sends less than .*, 4 times"):
        fetch(f"{address}/x", sha256=DIGEST, cache=tmp_path)


@pytest.mark.parametrize("name", ["FILE_BYTES", "KEY_BYTES"])
def test_a_file_has_an_end(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"builder.net.download.{name}", MIB)
    ask = (
        partial(fetch, sha256=DIGEST, cache=tmp_path)
        if name == "FILE_BYTES"
        else partial(fetch_key, fingerprint="ab" * 20, cache=tmp_path)
    )
    with served(flood) as address, pytest.raises(DownloadError, match="is larger than 1 MiB"):
        ask(f"{address}/x")
    assert list(tmp_path.iterdir()) == []


def test_a_proxy_that_answers_byte_by_byte_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.net.rate.PIECE_S", 0.3)
    with served(drip_headers) as proxy, pytest.MonkeyPatch.context() as environment:
        environment.setenv("https_proxy", proxy)
        with pytest.raises(DownloadError, match=r"the server sends less than .*, 4 times"):
            fetch("https://archive.example/x", sha256=DIGEST, cache=tmp_path)


def test_a_description_has_its_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.net.rate.PIECE_BYTES", 1)
    monkeypatch.setattr("builder.net.http.PIECE_BYTES", 1)
    url = server.url("drips")
    with open_url(url) as answer, pytest.raises(DownloadError, match="was not complete after 0 s"):
        read_all(url, answer, limit=1000, longest_s=0.2)
    with open_url(url) as answer, pytest.raises(DownloadError, match=r"longer than the limit \(3 bytes\)"):
        read_all(url, answer, limit=3)


def test_the_words_of_a_server_are_not_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"the server answered 418 I'm a Teapot$"):
        fetch(server.url("talks"), sha256=DIGEST, cache=tmp_path)


def test_the_pause_a_server_asks_for_is_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    fetch(server.url("limit"), sha256=DIGEST, cache=tmp_path)
    assert pauses == [7.0]
    assert "429" in capsys.readouterr().err
