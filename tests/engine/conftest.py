# SPDX-License-Identifier: MIT
"""An Engine, a builder image whose `builder` is tests/support/engine_stub.py, and nothing left of either afterwards."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import NotFound

from builder.engine.docker import boot, console, query, run
from builder.engine.docker.connect import open_engine
from builder.errors import MachineError
from builder.request import make_request
from tests.conftest import ROOT
from tests.support.stub_builds import StubBuild

STUB = ROOT / "tests/support/engine_stub.py"
DOCKERFILE = r"""FROM {base}
COPY __main__.py /usr/lib/boardwright/python/builder/__main__.py
RUN printf '#!/bin/sh\nexec sleep infinity\n' > /usr/local/bin/socat && chmod +x /usr/local/bin/socat
"""
"""Builds need no socat, and the builder image has none; the container of a machine runs it."""


@pytest.fixture(scope="session")
def api() -> Iterator[APIClient]:
    try:
        with open_engine() as client:
            yield client
    except MachineError as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def stub_image(api: APIClient, builder_image: str) -> Iterator[str]:
    """The real builder image with another __main__."""
    name = f"boardwright-stub:{os.getpid()}"
    stream = io.BytesIO()
    with tarfile.open(mode="w", fileobj=stream) as tar:
        for path, content in (
            ("Dockerfile", DOCKERFILE.format(base=builder_image).encode()),
            ("__main__.py", STUB.read_bytes()),
        ):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    stream.seek(0)
    for row in api.build(fileobj=stream, custom_context=True, tag=name, decode=True, rm=True):
        assert "error" not in row, row
    yield name
    api.remove_image(name, force=True)


@pytest.fixture
def stub(stub_image: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for module in (run, console, query, boot):
        monkeypatch.setattr(module, "make_builder_image", lambda _: stub_image)
    monkeypatch.setattr(boot, "make_boot_image", lambda _: stub_image)
    return stub_image


@pytest.fixture
def volume(api: APIClient, tmp_path: Path) -> Iterator[str]:
    name = f"boardwright-test-{os.getpid()}-{os.urandom(3).hex()}"
    yield name
    try:
        api.remove_volume(name, force=True)
    except NotFound:
        return


@pytest.fixture
def request_of(tmp_path: Path, volume: str, stub: str) -> Callable[[str], StubBuild]:
    """Make a build whose stub behaves as named."""
    boards = tmp_path / "boards"
    (boards / "x").mkdir(parents=True)
    (boards / "x" / "board.yaml").write_text("title: x\n", encoding="utf-8")
    (tmp_path / "state").mkdir()

    def make(act: str) -> StubBuild:
        paths = {"boards": boards, "state": tmp_path / "state", "output": tmp_path / "dist"}
        return StubBuild(make_request(board="x", version=act, epoch=0, **paths), volume)

    return make


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a disk of 4 KiB."""
    directory = tmp_path / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


@pytest.fixture
def containers(api: APIClient, tmp_path: Path) -> Callable[[], list[str]]:
    """Names of the containers that this test's state directory owns."""
    journals = str((tmp_path / "state" / "journals").resolve())

    def names() -> list[str]:
        found = api.containers(all=True, filters={"label": "boardwright.build"})
        return [c["Names"][0] for c in found if c["Labels"]["boardwright.journal"].startswith(journals)]

    return names
