# SPDX-License-Identifier: MIT
"""Downloads from a loopback server that misbehaves in every way a real one does."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from builder import log
from builder.errors import DownloadError, SpaceError, TrustError
from builder.net import http as module
from builder.net.download import fetch, fetch_key
from builder.net.http import bare, open_url, read_all
from builder.units import MIB
from tests.support.http_server import answer as answer_with
from tests.support.http_server import drip_headers, flood, go_on, running, served

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Behaves as the first part of the path says; counts what is asked for."""

    server: Server

    def do_GET(self) -> None:
        word = self.path.strip("/").split("/")[0].split("?")[0]
        self.server.asked[word] += 1
        behave: Callable[[], None] = getattr(self, f"_{word}", self._missing)
        behave()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        return

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


class Server(ThreadingHTTPServer):
    """The server and what it remembers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[str] = Counter()
        self.release = threading.Event()
        self.key = b""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are part of the tests."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with running(server):
        yield server
        server.release.set()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRIES", replace(module.RETRIES, first_s=0.01))
    monkeypatch.setattr(module, "TIMEOUT_S", (5.0, 5.0))


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name != ".gnupg")


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "deep" / "cache"
    assert fetch(server.url("good"), sha256=DIGEST, cache=cache) == cache / DIGEST
    assert fetch(server.url("good"), sha256=DIGEST, cache=cache).read_bytes() == CONTENT
    assert server.asked["good"] == 1
    assert names(cache) == [DIGEST]


def test_a_damaged_file_of_the_cache_is_fetched_again(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / DIGEST).write_bytes(CONTENT[:-1])
    assert fetch(server.url("good"), sha256=DIGEST, cache=tmp_path).read_bytes() == CONTENT
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["busy", "cut", "moved", "labelled", "unsized"])
def test_what_passes_is_overcome(server: Server, tmp_path: Path, path: str) -> None:
    assert fetch(server.url(path), sha256=DIGEST, cache=tmp_path).read_bytes() == CONTENT


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
    story = io.StringIO()
    said = ""
    with log.use(log.Json(story)):
        try:
            fetch(url, sha256=DIGEST, cache=tmp_path)
        except (DownloadError, TrustError) as error:
            said = error.message + error.hint
    assert "hunter2" not in said + story.getvalue() + capsys.readouterr().err
    assert "hunter2" not in bare(url)


def test_progress_goes_from_nothing_to_all(server: Server, tmp_path: Path) -> None:
    story = io.StringIO()
    with log.use(log.Json(story)):
        fetch(server.url("good"), sha256=DIGEST, cache=tmp_path)
    assert '"fraction": 1.0' in story.getvalue()
    assert 1 < story.getvalue().count('"progress"') <= 100


def test_of_many_that_want_one_file_one_asks(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: fetch(server.url("slow"), sha256=DIGEST, cache=tmp_path), range(8)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert server.asked["slow"] == 1
    assert names(tmp_path) == [DIGEST]


def test_when_the_first_fails_the_waiting_one_goes_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRIES", replace(module.RETRIES, attempts=1))
    monkeypatch.setattr(module, "TIMEOUT_S", (5.0, 0.5))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch, server.url("stalls"), sha256=DIGEST, cache=tmp_path)
        while not server.asked["stalls"]:
            time.sleep(0.01)
        second = pool.submit(fetch, server.url("good"), sha256=DIGEST, cache=tmp_path)
        assert isinstance(first.exception(10), DownloadError)
        assert second.result(10).read_bytes() == CONTENT


def test_what_a_killed_process_left_is_dropped(server: Server, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from builder.net.download import fetch;"
        "fetch(sys.argv[1], sha256=sys.argv[2], cache=Path(sys.argv[3]))"
    )
    with subprocess.Popen([sys.executable, "-c", code, server.url("stalls"), DIGEST, tmp_path]) as process:
        while not server.asked["stalls"]:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert names(tmp_path) == [f".{DIGEST}.partial"]
    assert fetch(server.url("good"), sha256=DIGEST, cache=tmp_path).read_bytes() == CONTENT
    assert names(tmp_path) == [DIGEST]


@pytest.mark.machine
def test_a_full_disk(server: Server, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        with pytest.raises(SpaceError, match=DIGEST):
            fetch(server.url("good"), sha256=DIGEST, cache=tmp_path)
        assert names(tmp_path) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


class Keys:
    """Two fresh keys, made once."""

    def __init__(self, home: Path) -> None:
        self._home = home
        home.mkdir(mode=0o700)
        for name in ("one", "two"):
            self._gpg("--passphrase", "", "--quick-generate-key", f"{name}@example.org", "ed25519", "sign", "never")
        self._gpg(
            "--faked-system-time", "20200101T000000", "--passphrase", "", "--quick-generate-key", "old@example.org",
            "ed25519", "sign", "1d",
        )  # fmt: skip
        listed = self._gpg("--with-colons", "--list-keys").decode().splitlines()
        self.one, self.two, self.old = (line.split(":")[9] for line in listed if line.startswith("fpr:"))

    def export(self, *names: str, options: tuple[str, ...] = ()) -> bytes:
        return self._gpg(*options, "--export", *names)

    def secret(self, name: str) -> bytes:
        return self._gpg("--passphrase", "", "--pinentry-mode", "loopback", "--export-secret-keys", name)

    def end(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=True)

    def _gpg(self, *words: str) -> bytes:
        argv = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", *words]
        return subprocess.run(argv, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    # A path of its own: the agent's socket must be shorter than 108 bytes, and pytest's directories are long.
    home = Path(f"/tmp/bw-keys-{os.getpid()}")
    made = Keys(home)
    yield made
    made.end()
    subprocess.run(["rm", "-r", home], check=True)


@pytest.mark.parametrize("armour", [(), ("--armor",)])
def test_a_key_is_fetched_once_as_binary_keyring(
    server: Server, tmp_path: Path, keys: Keys, armour: tuple[str, ...]
) -> None:
    server.key = keys.export("one@example.org", options=armour)
    spaced = " ".join(keys.one[i : i + 4] for i in range(0, 40, 4)).lower()
    for _ in range(2):
        path = fetch_key(server.url("key"), spaced, tmp_path)
    assert path == tmp_path / f"{keys.one}.gpg"
    assert path.read_bytes() == keys.export("one@example.org")
    assert path.stat().st_mode & 0o444 == 0o444, "APT's sandbox user reads it"
    assert server.asked["key"] == 1
    assert names(tmp_path) == [path.name]


def test_a_damaged_key_of_the_cache_is_fetched_again(server: Server, tmp_path: Path, keys: Keys) -> None:
    server.key = keys.export("one@example.org")
    (tmp_path / f"{keys.one}.gpg").write_bytes(keys.export("two@example.org"))
    assert fetch_key(server.url("key"), keys.one, tmp_path).read_bytes() == server.key


@pytest.mark.parametrize("armour", [(), ("--armor",)])
def test_other_keys_are_refused(server: Server, tmp_path: Path, keys: Keys, armour: tuple[str, ...]) -> None:
    cases = {
        "another": (keys.export("two@example.org", options=armour), keys.two),
        "both": (keys.export(options=armour), keys.two),
        "both in turn": (b"".join(keys.export(f"{n}@example.org", options=armour) for n in ("one", "two")), keys.two),
        "none": (b"<html>captive portal</html>" * 50, "no OpenPGP public key"),
        "broken": (keys.export("one@example.org", options=armour)[:40], "no OpenPGP public key"),
        "secret": (keys.secret("one@example.org"), "the secret key"),
    }
    for name, (content, said) in cases.items():
        server.key = content
        with pytest.raises(TrustError) as caught:
            fetch_key(server.url("key"), keys.one, tmp_path)
        assert said in caught.value.message, name
        assert keys.one in caught.value.message, name
    assert names(tmp_path) == []


def test_an_expired_key_is_refused(server: Server, tmp_path: Path, keys: Keys) -> None:
    server.key = keys.export("old@example.org")
    with pytest.raises(TrustError, match="the expired key"):
        fetch_key(server.url("key"), keys.old, tmp_path)


def test_a_compressed_page_is_not_unpacked(server: Server, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT, mtime=0)
    server.key = packed
    path = fetch(server.url("key"), sha256=hashlib.sha256(packed).hexdigest(), cache=tmp_path)
    assert path.read_bytes() == packed
