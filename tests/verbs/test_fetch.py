# SPDX-License-Identifier: MIT
"""`boardwright fetch`, as it is called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.keys import MinisignKey
from tests.support.published import Published, Server, serving
from tests.support.wait import wait_until

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> MinisignKey:
    return MinisignKey(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture
def published(tmp_path: Path, signer: MinisignKey) -> Published:
    made = Published(tmp_path / "srv", signer)
    made.name("stable", made.release("v1.0"))
    return made


@pytest.fixture
def server(published: Published) -> Iterator[Server]:
    with serving(published.tree) as running:
        yield running


def call(place: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "builder", "fetch", *words]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOARDWRIGHT_")}
    return subprocess.run(argv, check=False, cwd=place, capture_output=True, text=True, env=clean | environment)


def test_the_image_is_on_stdout_and_the_story_on_stderr(server: Server, signer: MinisignKey, tmp_path: Path) -> None:
    done = call(tmp_path, "rpi", "--from", server.url, "--key", str(signer.public))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/dist/boardwright-rpi-1.0.img.xz\n"
    assert Path(done.stdout.strip()).is_file()
    assert "signed by the key" in done.stderr


def test_a_program_reads_events(server: Server, signer: MinisignKey, tmp_path: Path) -> None:
    words = ("qemu-arm64", "--from", server.url, "--key", signer.public_text, "-o", "here", "--compress", "zst")
    done = call(tmp_path, *words, "--json")
    assert done.returncode == 0, done.stdout
    data = json.loads(done.stdout.splitlines()[-1])["data"]
    assert data["path"] == f"{tmp_path}/here/boardwright-qemu-arm64-1.0.img.zst"
    assert (data["version"], data["tag"], data["board"]) == ("1.0", "v1.0", "qemu-arm64")
    assert data["key"] in signer.public.read_text(encoding="utf-8")


def test_place_and_key_can_come_from_the_environment(server: Server, signer: MinisignKey, tmp_path: Path) -> None:
    done = call(tmp_path, "rpi", BOARDWRIGHT_RELEASES=server.url, BOARDWRIGHT_PUBLIC_KEY=signer.public_text)
    assert done.returncode == 0, done.stderr
    assert "signed by the key" in done.stderr


def test_a_key_in_the_working_directory_is_taken(
    server: Server, signer: MinisignKey, published: Published, tmp_path: Path
) -> None:
    (tmp_path / "boardwright.pub").write_text(signer.public.read_text(encoding="utf-8"), encoding="utf-8")
    done = call(tmp_path, "rpi", "--from", str(published.tree))
    assert done.returncode == 0, done.stderr
    assert "signed by the key" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["pi9"], 3, "has no board pi9"),
        (["rpi", "--channel", "beta"], 5, "has no channel beta"),
        (["rpi", "--version", "7"], 3, "has no release v7 or 7"),
        (["rpi", "--key", "nowhere.pub"], 3, "expected a file or a public key"),
        (["rpi", "--from", "nowhere"], 3, "expected an address of releases"),
    ],
)
def test_mistakes_have_a_message_a_hint_and_a_code(
    server: Server, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    done = call(tmp_path, *words, BOARDWRIGHT_RELEASES=server.url)
    assert done.returncode == code
    assert message in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_killed_call_is_gone_on_with(server: Server, signer: MinisignKey, tmp_path: Path) -> None:
    server.behaviour = "stalls"
    words = ["rpi", "--from", server.url, "--key", signer.public_text]
    partial = tmp_path / "dist/.boardwright-rpi-1.0.img.xz.partial"
    with subprocess.Popen([sys.executable, "-m", "builder", "fetch", *words], cwd=tmp_path) as process:
        wait_until(
            lambda: process.poll() is not None or (partial.exists() and partial.stat().st_size),
            "nothing was downloaded",
        )
        assert process.poll() is None
        process.kill()
    server.behaviour = "good"
    server.goes_on.set()
    done = call(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert "resuming after" in done.stderr
