# SPDX-License-Identifier: MIT
"""An image on its way into a container: whole, and without the holes that it is mostly made of."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient

from builder import log
from builder.engine.docker import put_image
from builder.engine.docker.put_image import find_data
from builder.errors import RecipeError
from builder.net import progress
from builder.units import MIB
from tests.support.log import Heard

SIZE = 30 * MIB + 7


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """A file of 30 MiB with data at its start and in the middle, and a hole at its end."""
    path = tmp_path / "disk.img"
    with path.open("wb") as stream:
        stream.write(b"boot" * 1000)
        stream.seek(20 * MIB + 5)
        stream.write(os.urandom(MIB))
        stream.truncate(SIZE)
    return path


def pack(path: Path) -> bytes:
    with path.open("rb") as stream:
        return b"".join(put_image._pack(stream, f"build/image/{path.name}", path.name))


def unpack(data: bytes) -> tuple[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (entry,) = tar.getmembers()
        content = tar.extractfile(entry)
        assert content
        return entry.name, content.read()


def test_holes_are_not_sent_and_come_back_as_zeros(sparse: Path) -> None:
    data = pack(sparse)
    assert len(data) < 2 * MIB
    name, content = unpack(data)
    assert name == "build/image/disk.img"
    assert content == sparse.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 512, 3 * MIB + 1])
def test_a_file_without_holes_is_an_ordinary_member(tmp_path: Path, size: int) -> None:
    path = tmp_path / "disk.img.zst"
    path.write_bytes(os.urandom(size))
    data = pack(path)
    assert b"GNU.sparse" not in data
    assert unpack(data) == ("build/image/disk.img.zst", path.read_bytes())


def test_a_file_that_is_one_hole_is_nothing_but_its_size(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    with path.open("wb") as stream:
        stream.truncate(5 * MIB)
    data = pack(path)
    assert len(data) < 8 * 1024
    assert unpack(data)[1] == bytes(5 * MIB)


def test_a_filesystem_that_knows_no_holes_gives_the_whole(sparse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "lseek", refuse)
    with sparse.open("rb") as stream:
        assert find_data(stream) == [(0, SIZE)]


def test_a_file_that_becomes_shorter_is_not_sent_as_if_it_were_whole(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(os.urandom(2 * MIB))
    with path.open("rb") as stream:
        pieces = put_image._pack(stream, "disk.img", path.name)
        next(pieces)
        os.truncate(path, MIB)
        with pytest.raises(RecipeError, match=r"disk\.img became shorter"):
            list(pieces)


def test_progress_is_that_of_the_data(sparse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0)
    seen: list[tuple[str, float]] = []
    monkeypatch.setattr(log, "progress", lambda name, fraction, speed: seen.append((name, fraction)))
    pack(sparse)
    fractions = [fraction for _, fraction in seen]
    assert {name for name, _ in seen} == {sparse.name}
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.img cannot be read: No such file"):
        put_image.put_image(APIClient("http://127.0.0.1:9", version="1.41"), "x", "/x", tmp_path / "absent.img")


@pytest.fixture
def container(api: APIClient, stub_image: str) -> Iterator[str]:
    argv = ["sha256sum", "/build/image/disk.img"]
    made = str(api.create_container_from_config({"Image": stub_image, "Cmd": argv})["Id"])  # type: ignore[no-untyped-call]
    yield made
    api.remove_container(made, force=True)


@pytest.mark.engine
def test_an_engine_gets_the_same_file(api: APIClient, container: str, sparse: Path, heard: Heard) -> None:
    put_image.put_image(api, container, "/build/image/disk.img", sparse)
    api.start(container)
    api.wait(container)
    assert api.logs(container).split()[0].decode() == hashlib.sha256(sparse.read_bytes()).hexdigest()
    assert f"send {sparse.name}" in heard.texts("end")
