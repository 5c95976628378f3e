# SPDX-License-Identifier: MIT
"""Packs of files from a container: whole, damaged, cut or hostile, and a disk that refuses them."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
import requests
import zstandard

from builder import log
from builder.artefact.files import Artefact
from builder.engine import dispatch
from builder.engine.docker.connect import engine_errors
from builder.engine.docker.hand_out import read_announced
from builder.engine.docker.pack import GRAIN, MAGIC, write_pack
from builder.engine.docker.receive import receive_from_layer, unpack
from builder.errors import MachineError, SpaceError, ToolError, TrustError
from builder.net import progress
from builder.plan.model import Plan
from builder.request import BuildRequest
from tests.support.container_files import CONTENTS, DATA
from tests.support.log import Heard


def pack(artefacts: list[Artefact], tmp_path: Path) -> bytes:
    write_pack([artefact.path for artefact in artefacts], tmp_path / "pack")
    return (tmp_path / "pack").read_bytes()


def archive(content: bytes, length: int = 1 << 16) -> Iterator[bytes]:
    """The Engine's answer: an archive of one file, in pieces."""
    stream = io.BytesIO()
    with tarfile.open(mode="w", fileobj=stream) as tar:
        entry = tarfile.TarInfo("artefacts.pack")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    whole = stream.getvalue()
    return (whole[start : start + length] for start in range(0, len(whole), length))


@pytest.mark.parametrize("length", [7, 1 << 16, 1 << 30])
def test_a_pack_brings_every_file_with_its_holes(
    made: list[Artefact], target: Path, tmp_path: Path, length: int
) -> None:
    unpack(archive(pack(made, tmp_path), length), made, made, target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == CONTENTS
    assert (target / "hole").stat().st_blocks * 512 <= 4 * GRAIN
    assert (target / "zeros").stat().st_blocks == 0


@pytest.mark.parametrize("packs", [True, False])
def test_a_build_announces_its_image_first(
    made: list[Artefact], target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packs: bool
) -> None:
    def build(plan: object, request: object, *, on_product: Callable[[Artefact], None]) -> list[Artefact]:
        aside = made[0].path.rename(tmp_path / "unfinished")
        on_product(Artefact(aside, made[0].size_bytes, made[0].sha256))
        aside.rename(made[0].path)
        return made

    monkeypatch.setattr(dispatch, "build", build)
    monkeypatch.setattr(dispatch, "IMAGE_PACK", tmp_path / "image.pack")
    monkeypatch.setattr(dispatch, "PACK", tmp_path / "artefacts.pack")
    events = Heard()
    with log.use(events):
        assert dispatch.build_inside(cast(Plan, None), cast(BuildRequest, None), packs=packs) == made
    (announced,) = [event for event in events.events if event.kind == "product"]
    (image,) = read_announced(announced.data)
    assert (image.path, image.sha256) == (tmp_path / "unfinished", made[0].sha256)
    assert (tmp_path / "image.pack").exists() is (tmp_path / "artefacts.pack").exists() is packs
    if packs:
        image = Artefact(target / "hole", made[0].size_bytes, made[0].sha256)
        unpack(archive((tmp_path / "image.pack").read_bytes()), [image], [image], target)
        unpack(archive((tmp_path / "artefacts.pack").read_bytes()), made, made[1:], target)
        assert {path.name: path.read_bytes() for path in target.iterdir()} == CONTENTS


def test_a_build_that_makes_nothing_packs_what_there_is(
    made: list[Artefact], target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "build", lambda *_, **__: made)
    monkeypatch.setattr(dispatch, "PACK", tmp_path / "pack")
    dispatch.build_inside(cast(Plan, None), cast(BuildRequest, None), packs=True)
    unpack(archive((tmp_path / "pack").read_bytes()), made, made, target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == CONTENTS


def test_zeros_do_not_travel(made: list[Artefact], tmp_path: Path) -> None:
    raw = zstandard.ZstdDecompressor().decompress(pack(made, tmp_path), max_output_size=1 << 26)
    assert len(raw) < 2 * len(DATA) + 3 * GRAIN


def test_only_what_is_wanted_is_written(made: list[Artefact], target: Path, tmp_path: Path) -> None:
    unpack(archive(pack(made, tmp_path)), made, made[1:2] + made[3:], target)
    assert sorted(path.name for path in target.iterdir()) == ["data", "empty"]


def test_a_file_that_is_not_in_the_pack_is_named(made: list[Artefact], target: Path, tmp_path: Path) -> None:
    made[2].path.unlink()
    with pytest.raises(ToolError, match="zeros: not found in the container"):
        unpack(archive(pack(made, tmp_path)), made, made, target)


def entry(index: int, *pieces: tuple[int, int, bytes]) -> bytes:
    return struct.pack(">I", index) + b"".join(struct.pack(">QI", at, size) + data for at, size, data in pieces)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found b''"),
        (b"another thing that is long enough", "expected b'boardwright pack 1"),
        (MAGIC + b"ab", "found its end after 2 bytes; expected 4"),
        (MAGIC + entry(1, (0, 0, b"")), "found file 1 after -1; expected one of 1"),
        (MAGIC + entry(0, (8, 1, b"x")), "piece of 1 bytes at 8"),
        (MAGIC + entry(0, (1 << 63, 1, b"x")), "piece of 1 bytes at 9223372036854775808"),
        (MAGIC + entry(0, (4, 8, b"12345678")), "piece of 8 bytes at 4"),
        (MAGIC + entry(0, (0, 0xFFFFFFFF, b"x")), "piece of 4294967295 bytes"),
        (MAGIC + entry(0, (4, 2, b"ab"), (5, 2, b"cd")), "piece of 2 bytes at 5; expected at most 1048576 from 6"),
        (MAGIC + entry(0, (0, 8, b"1234")), "found its end after 4 bytes; expected 8"),
        (MAGIC + entry(0, (0, 4, b"1234")), "found its end after 0 bytes; expected 12"),
        (MAGIC + entry(0, (0, 4, b"1234"), (7, 0, b"")), "has 7 bytes; expected 8"),
        (MAGIC + entry(0, (0, 4, b"1234"), (8, 0, b"")), "arrived with sha256"),
    ],
)
def test_a_hostile_pack_is_refused(target: Path, content: bytes, message: str) -> None:
    announced = [Artefact(Path("/build/dist/x"), 8, hashlib.sha256(b"12345678").hexdigest())]
    with pytest.raises(TrustError, match=message):
        unpack(archive(zstandard.compress(content)), announced, announced, target)
    assert sum(path.stat().st_size for path in target.iterdir()) <= 8


def test_a_file_comes_once(target: Path) -> None:
    announced = [Artefact(Path("/build/dist/x"), 8, hashlib.sha256(bytes(8)).hexdigest())]
    content = zstandard.compress(MAGIC + 2 * entry(0, (8, 0, b"")))
    with pytest.raises(TrustError, match="found file 0 after 0; expected one of 1"):
        unpack(archive(content), announced, announced, target)


def test_a_pack_cannot_ask_for_much_memory(target: Path) -> None:
    large = zstandard.ZstdCompressionParameters(window_log=27, compression_level=1)
    content = zstandard.ZstdCompressor(compression_params=large).compressobj().compress(bytes(1 << 28))
    announced = [Artefact(Path("x"), 1 << 40, "0" * 64)]
    with pytest.raises(TrustError, match="memory"):
        unpack(archive(content), announced, announced, target)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_a_cut_pack_is_refused(made: list[Artefact], target: Path, tmp_path: Path, share: float) -> None:
    whole = pack(made, tmp_path)
    with pytest.raises(TrustError, match=r"found its end|found b''|expected an archive"):
        unpack(archive(whole[: int(len(whole) * share)]), made, made, target)


def test_a_cut_archive_is_refused(made: list[Artefact], target: Path, tmp_path: Path) -> None:
    whole = b"".join(archive(pack(made, tmp_path)))
    for size in (0, 100, 700, len(whole) // 2):
        with pytest.raises(TrustError, match="artefacts from the container"):
            unpack(iter([whole[:size]]), made, made, target)
        for path in target.iterdir():
            path.unlink()


def test_a_damaged_pack_is_refused(made: list[Artefact], target: Path, tmp_path: Path) -> None:
    whole = bytearray(pack(made, tmp_path))
    whole[len(whole) // 2] ^= 1
    with pytest.raises(TrustError):
        unpack(archive(bytes(whole)), made, made, target)


def test_an_archive_of_a_folder_is_refused(target: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(mode="w", fileobj=stream) as tar:
        folder = tarfile.TarInfo("artefacts.pack")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    with pytest.raises(ToolError, match="expected a regular file"):
        unpack(iter([stream.getvalue()]), [], [], target)


def test_a_broken_connection_is_the_engines_fault(made: list[Artefact], target: Path, tmp_path: Path) -> None:
    def broken_off() -> Iterator[bytes]:
        yield next(archive(pack(made, tmp_path)))
        raise requests.exceptions.ChunkedEncodingError("Connection broken: IncompleteRead")

    with pytest.raises(MachineError, match="stopped answering while fetching"), engine_errors("fetching image"):
        unpack(broken_off(), made, made, target)


def test_a_place_that_cannot_be_written_is_this_machines(made: list[Artefact], tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="cannot be written"):
        unpack(archive(pack(made, tmp_path)), made, made, tmp_path / "absent")
    with pytest.raises(SpaceError, match="cannot be written"):
        receive_from_layer(Path("/"), made, tmp_path / "absent")


def test_progress_says_how_fast(
    made: list[Artefact], target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, float]] = []
    monkeypatch.setattr(progress, "INTERVAL_S", 0)
    monkeypatch.setattr(log, "progress", lambda name, fraction, speed: seen.append((speed, fraction)))
    unpack(archive(pack(made, tmp_path)), made, made, target)
    assert all(text.endswith("/s") for text, _ in seen)
    assert [fraction for _, fraction in seen] == sorted(fraction for _, fraction in seen)
    assert 0 <= seen[0][1] < seen[-1][1] <= 1


def test_a_pack_that_cannot_be_written_is_said(made: list[Artefact]) -> None:
    with pytest.raises(SpaceError, match=r"(?i)no space left"):
        write_pack([made[3].path], Path("/dev/full"))


def test_a_file_that_cannot_be_packed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    (tmp_path / "x").write_bytes(DATA)
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_pack([tmp_path / "x"], tmp_path / "pack")
