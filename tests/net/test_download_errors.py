# SPDX-License-Identifier: MIT
"""Downloads that cannot succeed: the error, its hint, and no credentials in either."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from builder import log
from builder.errors import DownloadError, TrustError
from builder.net import http as module
from builder.net.download import fetch
from builder.net.http import bare
from tests.support.download_server import CONTENT, DIGEST, Server, names

pytestmark = pytest.mark.usefixtures("quick_retries")


@pytest.mark.parametrize(
    ("path", "attempts", "reason"),
    [
        ("missing", 1, "404"),
        ("private", 1, "401"),
        ("broken", 4, "500"),
        ("silent", 4, "the server is silent, 4 times"),
        ("stalls", 4, "the server is silent, 4 times"),
        ("local", 1, "other than http and https"),
        ("round", 6, "TooManyRedirects"),
    ],
)
def test_what_does_not_pass_is_an_error(
    server: Server, tmp_path: Path, path: str, attempts: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server that answers may take its time, on a busy machine.
    monkeypatch.setattr(module, "TIMEOUT_S", (30.0, 0.3 if path in ("silent", "stalls") else 30.0))
    with pytest.raises(DownloadError, match=reason):
        fetch(server.url(path), sha256=DIGEST, cache=tmp_path)
    assert server.asked[path] == attempts
    assert names(tmp_path) == []


def test_a_missing_file_has_a_hint(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch(server.url("missing"), sha256=DIGEST, cache=tmp_path)
    assert "change the URL" in caught.value.hint


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="Connection refused, 4 times") as caught:
        fetch("http://127.0.0.1:1/x", sha256=DIGEST, cache=tmp_path)
    assert "http_proxy" in caught.value.hint


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_only_http_is_spoken(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="other than http and https"):
        fetch(url, sha256=hashlib.sha256(Path("/etc/passwd").read_bytes()).hexdigest(), cache=tmp_path)


@pytest.mark.parametrize("address", ["http://%ff%fe/", "http://[::1", "http://a:b/", "http://%e2%84%80.c/"])
def test_a_redirection_to_what_is_no_address(server: Server, tmp_path: Path, address: str) -> None:
    with pytest.raises(DownloadError, match=r"nowhere/.* cannot be fetched: InvalidURL"):
        fetch(server.url(f"nowhere/{address}"), sha256=DIGEST, cache=tmp_path)


def test_a_server_without_tls_behind_https_is_refused_at_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="certificate"):
        fetch(server.url("good").replace("http:", "https:"), sha256=DIGEST, cache=tmp_path)


def test_a_wrong_digest_names_both(server: Server, tmp_path: Path) -> None:
    with pytest.raises(TrustError) as caught:
        fetch(server.url("other"), sha256=DIGEST, cache=tmp_path)
    for part in (DIGEST, hashlib.sha256(CONTENT[::-1]).hexdigest(), server.url("other")):
        assert part in caught.value.message
    assert server.asked["other"] == 1
    assert names(tmp_path) == []


def test_without_a_digest_nothing_is_asked_for(server: Server, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="has no sha256"):
        fetch(server.url("good"), sha256=None, cache=tmp_path)
    assert server.asked["good"] == 0


@pytest.mark.parametrize("path", ["missing", "broken", "other", "local", "busy"])
def test_credentials_are_never_told(
    server: Server, tmp_path: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.url(path).replace("127.", "joe:hunter2@127.") + "?token=hunter2#hunter2"
    output = io.StringIO()
    message = ""
    with log.use(log.Json(output)):
        try:
            fetch(url, sha256=DIGEST, cache=tmp_path)
        except (DownloadError, TrustError) as error:
            message = error.message + error.hint
    assert "hunter2" not in message + output.getvalue() + capsys.readouterr().err
    assert "hunter2" not in bare(url)
