# SPDX-License-Identifier: MIT
"""Downloads into the cache: once, whole, by one process at a time."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from builder import log
from builder.errors import DownloadError, SpaceError
from builder.net import http as module
from builder.net.download import fetch
from tests.support.download_server import CONTENT, DIGEST, Server, names
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("quick_retries")


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


def test_progress_goes_from_nothing_to_all(server: Server, tmp_path: Path) -> None:
    output = io.StringIO()
    with log.use(log.Json(output)):
        fetch(server.url("good"), sha256=DIGEST, cache=tmp_path)
    assert '"fraction": 1.0' in output.getvalue()
    assert 1 < output.getvalue().count('"progress"') <= 100


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
        wait_until(lambda: server.asked["stalls"], "the server was not asked")
        second = pool.submit(fetch, server.url("good"), sha256=DIGEST, cache=tmp_path)
        assert isinstance(first.exception(10), DownloadError)
        assert second.result(10).read_bytes() == CONTENT


def test_what_a_killed_process_left_is_dropped(server: Server, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from builder.net.download import fetch;"
        "fetch(sys.argv[1], sha256=sys.argv[2], cache=Path(sys.argv[3]))"
    )
    with subprocess.Popen([sys.executable, "-c", code, server.url("stalls"), DIGEST, tmp_path]) as process:
        wait_until(lambda: server.asked["stalls"], "the server was not asked")
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
