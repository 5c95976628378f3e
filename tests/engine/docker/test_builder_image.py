# SPDX-License-Identifier: MIT
"""The builder image: made when its inputs changed, used as it is when not; and its base without a registry."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import APIError, ImageNotFound

import builder
from builder.engine.docker import base_image, builder_image
from builder.engine.docker.base_image import make_base
from builder.engine.docker.builder_image import make_builder_image
from builder.errors import DownloadError, MachineError, ToolError
from tests.support.http_server import QuietHandler, running
from tests.support.log import Heard

pytestmark = pytest.mark.engine


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: APIClient) -> Iterator[Path]:
    """A small checkout whose images have a name of their own."""
    repository = f"boardwright-test-{os.getpid()}"
    package = tmp_path / "builder"
    package.mkdir()
    (package / "__init__.py").write_text("one", encoding="utf-8")
    monkeypatch.setattr(builder, "__file__", str(package / "__init__.py"))
    monkeypatch.setattr(builder_image, "REPOSITORY", repository)
    _write_dockerfile(tmp_path, "COPY builder /b")
    yield tmp_path
    for image in api.images(name=repository):
        api.remove_image(image["Id"], force=True)


def _write_dockerfile(checkout: Path, step: str) -> None:
    text = f"ARG BASE\nFROM ${{BASE}} AS builder\nLABEL boardwright.image=builder\n{step}\n"
    (checkout / "Dockerfile.builder").write_text(text, encoding="utf-8")


def test_the_second_time_nothing_is_built(api: APIClient, checkout: Path, heard: Heard) -> None:
    first = make_builder_image(api)
    heard.events.clear()
    begun = time.monotonic()
    assert make_builder_image(api) == first
    assert time.monotonic() - begun < 2
    assert not heard.events


def test_a_changed_input_makes_another_and_removes_all_but_a_few(
    api: APIClient, checkout: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder_image, "KEPT", 1)
    names = []
    for content in ("one", "two", "three"):
        (checkout / "builder" / "__init__.py").write_text(content, encoding="utf-8")
        names.append(make_builder_image(api))
    assert len(set(names)) == 3
    left = {tag for image in api.images(name=builder_image.REPOSITORY) for tag in image["RepoTags"]}
    assert names[-1] in left
    assert len(left) == 2


def test_compiled_python_is_no_input(api: APIClient, checkout: Path, heard: Heard) -> None:
    first = make_builder_image(api)
    cache = checkout / "builder" / "__pycache__"
    cache.mkdir()
    (cache / "x.pyc").write_bytes(b"x")
    assert make_builder_image(api) == first


def test_an_image_in_use_stays(api: APIClient, checkout: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder_image, "KEPT", 0)
    first = make_builder_image(api)
    container = api.create_container(first, "true")["Id"]
    try:
        (checkout / "builder" / "__init__.py").write_text("two", encoding="utf-8")
        make_builder_image(api)
        assert any(text.startswith(f"{first} stays") for text in heard.texts("note"))
    finally:
        api.remove_container(container)


def test_a_prune_of_another_build_is_no_trouble(
    api: APIClient, checkout: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise APIError("409 Client Error", explanation="a prune operation is already running")

    monkeypatch.setattr(api, "prune_images", refuse)
    assert make_builder_image(api)
    assert heard.texts("note")[-1].endswith("stay for now: a prune operation is already running")


def test_a_failing_step_shows_its_last_lines(api: APIClient, checkout: Path, heard: Heard) -> None:
    _write_dockerfile(checkout, "RUN echo the last word; exit 3")
    with pytest.raises(ToolError, match=r"(?s)non-zero code: 3.*the last word"):
        make_builder_image(api)
    assert "the last word" in heard.texts("line")


def test_without_a_checkout_it_says_so(api: APIClient, checkout: Path) -> None:
    (checkout / "Dockerfile.builder").unlink()
    with pytest.raises(MachineError, match=r"Dockerfile\.builder is missing"):
        make_builder_image(api)


@pytest.mark.machine
def test_the_base_is_made_where_no_registry_answers(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    own = f"boardwright-test-base:{os.getpid()}"
    monkeypatch.setattr(base_image, "OWN_BASE", own)
    monkeypatch.setattr(base_image, "REGISTRY_BASE", "127.0.0.1:9/debian:trixie-slim")
    try:
        base = make_base(api)
        assert base.name == own
        assert any("no registry answers" in text for text in heard.texts("note"))
        heard.events.clear()
        assert make_base(api) == base
        assert not heard.events
    finally:
        with suppress(ImageNotFound):
            api.remove_image(own)


@pytest.fixture
def no_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Engine without a base, and a registry that does not answer."""
    monkeypatch.setattr(base_image, "OWN_BASE", "boardwright-test-base:absent")
    monkeypatch.setattr(base_image, "REGISTRY_BASE", "127.0.0.1:9/debian:trixie-slim")


def _fake(place: Path, name: str, script: str) -> None:
    program = place / name
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_without_mmdebstrap_the_hint_names_it(
    api: APIClient, no_base: None, monkeypatch: pytest.MonkeyPatch, heard: Heard, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(base_image, "SYSTEM_KEYRINGS", tmp_path)
    with pytest.raises(MachineError, match="without one are missing: mmdebstrap, debian-archive-keyring") as caught:
        make_base(api)
    assert "sudo apt-get install mmdebstrap debian-archive-keyring" in caught.value.hint


@pytest.mark.machine
def test_root_gets_mmdebstrap_installed(
    api: APIClient, no_base: None, monkeypatch: pytest.MonkeyPatch, heard: Heard, tmp_path: Path
) -> None:
    """By an apt-get that brings an mmdebstrap which fails: the base of the test before is not made a second time."""
    _fake(
        tmp_path,
        "apt-get",
        f"""
        echo "$@" >> {tmp_path}/called
        case $* in *mmdebstrap*)
            printf '#!/bin/sh\\necho no mirror >&2; exit 25' > {tmp_path}/mmdebstrap
            /bin/chmod +x {tmp_path}/mmdebstrap
        esac""",
    )
    monkeypatch.setattr("builder.system.tools.search_path", lambda: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"(?s)mmdebstrap ended with exit code 25.*no mirror") as caught:
        make_base(api)
    assert (tmp_path / "called").read_text().splitlines()[-1].endswith(" mmdebstrap")
    assert any(text.endswith("installing with apt-get: mmdebstrap") for text in heard.texts("note"))
    assert base_image.MIRROR in caught.value.hint
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolError, match="no mirror") as caught:
        make_base(api)
    assert "sudo apt-get install uidmap" in caught.value.hint


def test_a_base_that_was_asked_for_is_not_replaced(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setenv("BOARDWRIGHT_BASE", "127.0.0.1:9/mine:1")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9/mine:1 is not in the Engine"):
        make_base(api)


def test_a_registry_that_says_nothing_is_left(api: APIClient, monkeypatch: pytest.MonkeyPatch, heard: Heard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setattr(base_image, "PULL_SILENCE_S", 2)
        monkeypatch.setenv("BOARDWRIGHT_BASE", f"127.0.0.1:{deaf.getsockname()[1]}/mine")
        begun = time.monotonic()
        with pytest.raises(DownloadError, match="no answer for 2 s"):
            make_base(api)
        assert time.monotonic() - begun < 10


def test_where_the_base_can_be_made_the_registry_gets_less_time(
    api: APIClient, no_base: None, monkeypatch: pytest.MonkeyPatch, heard: Heard, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setattr(base_image, "ANSWER_S", 1)
        monkeypatch.setattr(base_image, "REGISTRY_BASE", f"127.0.0.1:{deaf.getsockname()[1]}/debian:trixie-slim")
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr("builder.system.tools.search_path", lambda: str(tmp_path))
        with pytest.raises(MachineError, match="mmdebstrap"):
            make_base(api)
    assert any("no answer for 1 s" in text for text in heard.texts("note"))


class SlowEngine(QuietHandler):
    """Answers at once, then is silent between two lines of progress for longer than it may be before its answer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for text in (b'{"status": "Pulling from library/debian"}\n', b'{"status": "Pull complete"}\n'):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
            time.sleep(1.5)
        self.wfile.write(b"0\r\n\r\n")


def test_a_download_may_be_silent_for_longer_than_the_answer(heard: Heard) -> None:
    with running(ThreadingHTTPServer(("127.0.0.1", 0), SlowEngine)) as url:
        slow = APIClient(base_url=url.replace("http", "tcp"), version="1.41")
        assert base_image._pull(slow, "debian:trixie-slim", answer_s=1) == ""
    assert heard.texts("line")[-1] == "Pull complete"
