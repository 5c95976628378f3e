# SPDX-License-Identifier: MIT
"""Which image is meant, and how it is opened."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from builder.errors import RecipeError, VerifyError
from builder.units import MIB
from builder.verify.artefact import find_artefact, opened


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "card.img"
    with path.open("wb") as stream:
        stream.write(os.urandom(3 * MIB + 17))
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
    with opened(pack(raw, suffix), scratch) as found:
        assert found.raw.read_bytes() == raw.read_bytes()
        assert found.raw.stat().st_blocks * 512 < 5 * MIB
        assert found.sha256 == hashlib.sha256(raw.read_bytes()).hexdigest()
        assert found.name == "packed"
    assert list(scratch.iterdir()) == []


def test_a_raw_image_is_read_where_it_is(raw: Path, tmp_path: Path) -> None:
    with opened(raw, tmp_path) as found:
        assert found.raw == raw
    assert raw.exists()


@pytest.mark.parametrize("suffix", PACKED)
def test_a_damaged_file_is_said_to_be_damaged(raw: Path, suffix: str, tmp_path: Path) -> None:
    packed = pack(raw, suffix)
    packed.write_bytes(packed.read_bytes()[: 2 * MIB])
    with pytest.raises(VerifyError, match=f"packed{suffix} cannot be unpacked"), opened(packed, tmp_path):
        pass


def test_an_archive_of_two_images_is_not_guessed_at(raw: Path, tmp_path: Path) -> None:
    packed = pack(raw, ".img.zip")
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("other.img", b"")
    with pytest.raises(VerifyError, match="holds 2 files"), opened(packed, tmp_path):
        pass


def test_a_board_means_its_newest_image(tmp_path: Path) -> None:
    for age, name in enumerate(["rpi-1.0.img.zst", "rpi-1.1.img", "rpi-lite-2.0.img.zst", "rpi-dirty.img.xz"]):
        path = tmp_path / f"boardwright-{name}"
        path.touch()
        os.utime(path, (1000 - age, 1000 - age if name != "rpi-1.1.img" else 2000))
    (tmp_path / "boardwright-rpi-1.1.packages").touch()
    assert find_artefact("rpi", tmp_path).name == "boardwright-rpi-1.1.img"
    assert find_artefact("rpi-lite", tmp_path).name == "boardwright-rpi-lite-2.0.img.zst"


def test_a_file_is_meant_by_its_path(raw: Path, tmp_path: Path) -> None:
    assert find_artefact(str(raw), tmp_path / "dist") == raw


def test_neither_file_nor_board_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="rpi is no file") as caught:
        find_artefact("rpi", tmp_path)
    assert "boardwright build rpi" in caught.value.hint
