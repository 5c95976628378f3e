# SPDX-License-Identifier: MIT
"""The builder image: made when its inputs changed, used as it is when not; and its base without a registry."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import ImageNotFound

import builder
from builder.engine import base_image, builder_image
from builder.engine.base_image import make_base
from builder.engine.builder_image import make_builder_image
from builder.errors import DownloadError, MachineError, ToolError
from tests.engine.conftest import Heard

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
    text = f"ARG BASE\nFROM ${{BASE}}\nLABEL boardwright.image=builder\n{step}\n"
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


def test_without_mmdebstrap_the_hint_names_it(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, heard: Heard, tmp_path: Path
) -> None:
    monkeypatch.setattr(base_image, "OWN_BASE", "boardwright-test-base:absent")
    monkeypatch.setattr(base_image, "REGISTRY_BASE", "127.0.0.1:9/debian:trixie-slim")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError) as caught:
        make_base(api)
    assert "apt-get install mmdebstrap" in caught.value.hint


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
        with pytest.raises(DownloadError, match="nothing heard for 2 s"):
            make_base(api)
        assert time.monotonic() - begun < 10
