# SPDX-License-Identifier: MIT
"""Which image is meant, and how it is opened."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.disk import image_file
from builder.disk.image_file import find_artefact, name_of, open_image
from builder.disk.open_image import find_end, unpacked
from builder.errors import RecipeError, ReleaseError, VerifyError
from builder.units import MIB

ROW = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (4096).to_bytes(4, "little")
TABLE = bytes(446) + ROW + bytes(48) + b"\x55\xaa"
"""Of one partition that ends at 3 MiB."""


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "card.img"
    with path.open("wb") as stream:
        stream.write(TABLE + os.urandom(3 * MIB + 17))
        stream.truncate(9 * MIB + 5)
    return path


def pack(raw: Path, suffix: str) -> Path:
    path = raw.with_name(f"packed{suffix}")
    if suffix == ".img.zst":
        subprocess.run(["zstd", "-q", "-o", path, raw], check=True)
    elif suffix == ".img.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(raw, "card.img")
    else:
        compress = lzma.compress if suffix == ".img.xz" else gzip.compress
        path.write_bytes(compress(raw.read_bytes()))
    return path


PACKED = (".img.zst", ".img.xz", ".img.gz", ".img.zip")


@pytest.mark.parametrize("suffix", PACKED)
def test_a_compressed_image_is_opened_as_the_same_disk(raw: Path, suffix: str, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with open_image(pack(raw, suffix), scratch) as found:
        assert found.raw.read_bytes() == raw.read_bytes()
        assert found.raw.stat().st_blocks * 512 < 5 * MIB
        assert found.sha256 == hashlib.sha256(raw.read_bytes()).hexdigest()
        assert found.name == "packed"
    assert list(scratch.iterdir()) == []


def test_a_raw_image_is_read_where_it_is(raw: Path, tmp_path: Path) -> None:
    with open_image(raw, tmp_path) as found:
        assert found.raw == raw
    assert raw.exists()


@pytest.mark.parametrize("suffix", PACKED)
def test_a_damaged_file_is_said_to_be_damaged(raw: Path, suffix: str, tmp_path: Path) -> None:
    packed = pack(raw, suffix)
    packed.write_bytes(packed.read_bytes()[: 2 * MIB])
    with pytest.raises(VerifyError, match=f"packed{suffix} cannot be unpacked"), open_image(packed, tmp_path):
        pass


def test_an_archive_of_two_images_is_not_guessed_at(raw: Path, tmp_path: Path) -> None:
    packed = pack(raw, ".img.zip")
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("other.img", b"")
    with pytest.raises(VerifyError, match="holds 2 files"), open_image(packed, tmp_path):
        pass


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    for name in ("garden", "garden-2", "rpi", "rpi-lite"):
        (tmp_path / "boards" / name).mkdir(parents=True)
        (tmp_path / "boards" / name / "board.yaml").touch()
    return tmp_path / "boards"


def put_image(output: Path, name: str, *, at: int, board: str = "") -> None:
    path = output / f"boardwright-{name}"
    path.touch()
    os.utime(path, (at, at))
    if board:
        record = output / f"{name_of(path)}.build.json"
        record.write_text(json.dumps({"format": 1, "board": board}))


def test_a_board_means_its_newest_image(tmp_path: Path, boards: Path) -> None:
    put_image(tmp_path, "rpi-1.0.img.zst", at=1000)
    put_image(tmp_path, "rpi-1.1.img", at=2000)
    put_image(tmp_path, "rpi-lite-2.0.img.zst", at=3000)
    (tmp_path / "boardwright-rpi-9.packages").touch()
    assert find_artefact("rpi", tmp_path, boards).name == "boardwright-rpi-1.1.img"
    assert find_artefact("rpi-lite", tmp_path, boards).name == "boardwright-rpi-lite-2.0.img.zst"


@pytest.mark.parametrize("version", ["eafb1cf-dirty", "nightly-20261126", "main-3", "rc-1", "2-beta"])
@pytest.mark.parametrize("board", ["rpi", ""])
def test_the_newest_image_may_have_any_version(tmp_path: Path, boards: Path, version: str, board: str) -> None:
    put_image(tmp_path, "rpi-1.0.img.zst", at=1000, board=board)
    put_image(tmp_path, f"rpi-{version}.img.zst", at=2000, board=board)
    assert find_artefact("rpi", tmp_path, boards).name == f"boardwright-rpi-{version}.img.zst"


@pytest.mark.parametrize("board", ["garden-2", ""])
def test_an_image_of_a_board_whose_name_begins_alike_is_not_taken(tmp_path: Path, boards: Path, board: str) -> None:
    put_image(tmp_path, "garden-1.0.img.zst", at=1000)
    put_image(tmp_path, "garden-2-1.0.img.zst", at=2000, board=board)
    assert find_artefact("garden", tmp_path, boards).name == "boardwright-garden-1.0.img.zst"
    assert find_artefact("garden-2", tmp_path, boards).name == "boardwright-garden-2-1.0.img.zst"


def test_the_record_counts_and_not_the_name(tmp_path: Path, boards: Path) -> None:
    put_image(tmp_path, "garden-2-1.0.img.zst", at=1000, board="garden")
    assert find_artefact("garden", tmp_path, boards).name == "boardwright-garden-2-1.0.img.zst"
    with pytest.raises(RecipeError, match="garden-2: found neither a file nor"):
        find_artefact("garden-2", tmp_path, boards)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "", "[]", '{"board": 1}', "{", "\udcff"], ids=lambda text: ascii(text[:12])
)
def test_a_record_that_says_nothing_is_as_none(tmp_path: Path, boards: Path, text: str) -> None:
    put_image(tmp_path, "rpi-1.0.img.zst", at=1000)
    (tmp_path / "boardwright-rpi-1.0.build.json").write_bytes(text.encode(errors="surrogateescape"))
    assert find_artefact("rpi", tmp_path, boards).name == "boardwright-rpi-1.0.img.zst"


def test_a_file_is_meant_by_its_path(raw: Path, tmp_path: Path) -> None:
    assert find_artefact(str(raw), tmp_path / "dist", tmp_path) == raw


def test_neither_file_nor_board_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="rpi: found neither a file nor") as caught:
        find_artefact("rpi", tmp_path, tmp_path / "boards")
    assert "boardwright build rpi" in caught.value.hint


def with_table(raw: Path, script: str) -> Path:
    """Write a partition table over the start of a disk."""
    subprocess.run(["sfdisk", "-q", raw], input=script.encode(), check=True, capture_output=True)
    return raw


@pytest.mark.machine
@pytest.mark.parametrize("label", ["dos", "gpt"])
@pytest.mark.parametrize("suffix", PACKED)
def test_no_more_is_unpacked_than_the_table_says(raw: Path, suffix: str, label: str, tmp_path: Path) -> None:
    os.truncate(raw, 9 * MIB)
    with_table(raw, f"label: {label}\nstart=2048, size=4096\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with open_image(pack(raw, suffix), scratch) as found:
        assert found.raw.stat().st_size == 9 * MIB
    os.truncate(raw, 200 * MIB)
    (raw.parent / f"packed{suffix}").unlink()
    with pytest.raises(VerifyError, match="which is all that it can hold"), open_image(pack(raw, suffix), scratch):
        pass
    assert not scratch.exists() or sum(path.stat().st_size for path in scratch.iterdir()) < 80 * MIB


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("start", [b"", b"no table", TABLE[:446] + bytes(66)])
def test_what_is_no_disk_is_not_unpacked(raw: Path, suffix: str, start: bytes, tmp_path: Path) -> None:
    raw.write_bytes(start.ljust(512, b"x") + os.urandom(3 * MIB))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with (
        pytest.raises(VerifyError, match="holds no disk: it does not begin with"),
        open_image(pack(raw, suffix), scratch),
    ):
        pass
    assert sum(path.stat().st_size for path in scratch.iterdir()) == 0


@pytest.mark.parametrize("suffix", [".img.zst", ".img.xz"])
def test_a_small_file_does_not_fill_the_disk(
    raw: Path, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_file, "SLACK", MIB)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    raw.write_bytes(TABLE + b"x" * 20 * MIB)
    with (
        pytest.raises(VerifyError, match="that are not zero, 100 times its size"),
        open_image(pack(raw, suffix), scratch),
    ):
        pass
    raw.write_bytes(TABLE + bytes(20 * MIB) + b"x")
    (raw.parent / f"packed{suffix}").unlink()
    with open_image(pack(raw, suffix), scratch) as found:
        assert found.raw.stat().st_size == 20 * MIB + 513


def test_a_disk_without_a_table_has_an_end_too(raw: Path) -> None:
    packed = pack(raw, ".img.gz")
    with pytest.raises(ReleaseError, match=r"more than 5 MiB come, which is all that it can hold"):
        list(unpacked(packed, limit=5 * MIB, error=ReleaseError))


@pytest.mark.parametrize(
    "change",
    [lambda data: data[:300], lambda data: bytes(512) + data[512:], lambda data: data[:446] + bytes(64) + data[510:]],
)
def test_a_table_that_is_none_sets_no_end(change: Callable[[bytes], bytes]) -> None:
    head = TABLE + bytes(512)
    assert find_end(head) == 3 * MIB + 64 * MIB
    assert find_end(change(head)) is None
