# SPDX-License-Identifier: MIT
"""Archives that ask for a password."""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from builder.engine.docker.cache_access import APT_AUTH, find_access
from builder.errors import DownloadError, RecipeError
from builder.plan.model import Plan
from builder.rootfs.apt.archives import Archives
from builder.rootfs.apt.auth import VARIABLE, find_auth
from builder.rootfs.apt.sources import collect_keys
from tests.support.archive import Archive, Quiet
from tests.support.http_server import running
from tests.support.keys import OpenPgpKey
from tests.support.rootfs_boards import plan_board, write_tiny

SECRET = "open-sesame"


class Guarded(Quiet):
    """Answers who knows the password."""

    def do_GET(self) -> None:
        word = base64.b64encode(f"pirate:{SECRET}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {word}":
            super().do_GET()
            return
        self.send_response(401, "Unauthorized")
        self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def plan(tmp_path: Path, signer: OpenPgpKey) -> Iterator[Plan]:
    (tmp_path / "served").mkdir()
    handler = functools.partial(Guarded, directory=str(tmp_path / "served"))
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as url:
        archive = Archive(tmp_path / "served", url, signer)
        archive.add("base-files", fields="Essential: yes\n")
        archive.add("apt")
        archive.add("tiny-kernel")
        archive.publish()
        signer.write_public(tmp_path / "boards/tiny/key.asc")
        write_tiny(tmp_path / "boards", url=url, key="key.asc")
        yield plan_board(tmp_path / "boards", "board")


def ask(plan: Plan, directory: Path) -> set[str]:
    keys = collect_keys(plan.recipe.archives, directory / "cache")
    archives = Archives(plan, keys, cache=directory / "cache", log_file=directory / "log")
    return {package.name for package in archives.resolve().packages}


@pytest.fixture
def auth(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "auth.conf"
    host = plan.recipe.archives["debian"].url
    path.write_text(f"machine {host} login pirate password {SECRET}\n")
    monkeypatch.setenv(VARIABLE, str(path))
    return path


@pytest.mark.machine
@pytest.mark.usefixtures("auth")
def test_apt_reads_the_password_and_keeps_it_nowhere(plan: Plan, tmp_path: Path) -> None:
    assert ask(plan, tmp_path) == {"base-files", "apt", "tiny-kernel"}
    kept = [path for path in [tmp_path / "log", *(tmp_path / "cache").rglob("*")] if path.is_file()]
    assert kept
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


@pytest.mark.machine
def test_without_it_the_way_is_told(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"asks for a password:\n.*401 +Unauthorized") as caught:
        ask(plan, tmp_path)
    assert VARIABLE in caught.value.hint


@pytest.mark.machine
def test_a_container_gets_it_as_a_file_of_its_own(auth: Path) -> None:
    access = find_access(None)
    assert access.secrets == {APT_AUTH: auth.read_bytes()}
    assert access.environment == {VARIABLE: APT_AUTH}
    assert SECRET not in repr(access)


def test_nobody_names_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert find_auth() is None
    assert find_access(None).secrets == {}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent", None, "cannot be read: No such file"),
        ("empty", b"", "has no line of apt_auth.conf"),
        ("other", b"user:secret", "has no line of apt_auth.conf"),
        ("binary", b"\xff", "found the byte 0xff at 0, which is not UTF-8"),
        ('quo"te', b"machine a login b password c", "expected a path without quote"),
    ],
)
def test_a_file_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv(VARIABLE, str(tmp_path / name))
    with pytest.raises(RecipeError, match=f"{VARIABLE}: .*{words}") as caught:
        find_auth()
    assert "secret" not in caught.value.message
