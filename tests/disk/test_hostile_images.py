# SPDX-License-Identifier: MIT
"""Image files that are damaged, or large once unpacked: refused before they are read whole."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.disk.image_file import open_image
from builder.disk.region import Region
from builder.errors import VerifyError
from builder.filesystems.ext4.read import read_ext4
from builder.filesystems.fat32.read import read_fat
from builder.filesystems.table import read_facts
from builder.units import GIB, MIB

pytestmark = pytest.mark.machine


def damage_deflated(path: Path, raw: Path) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(raw, "card.img")
    content = bytearray(path.read_bytes())
    content[60:160] = b"\xff" * 100
    path.write_bytes(content)
    return "Error -3 while decompressing"


def pack_with_lzma(path: Path, raw: Path) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        packed.write(raw, "card.img")
    return "found the method 14; allowed: 0"


def list_many_files(path: Path, raw: Path) -> str:
    with zipfile.ZipFile(path, "w") as packed:
        packed.write(raw, "card.img")
        for number in range(20_000):
            packed.writestr(f"{number:020}", b"")
    return r"its list of files has more than 1 MiB"


@pytest.mark.parametrize("craft", [damage_deflated, pack_with_lzma, list_many_files])
def test_a_crafted_zip_is_refused(craft: Callable[[Path, Path], str], tmp_path: Path) -> None:
    raw, path = tmp_path / "card.img", tmp_path / "packed.img.zip"
    raw.write_bytes(os.urandom(500).hex().encode() * 100)
    message = craft(path, raw)
    with pytest.raises(VerifyError, match=message), open_image(path, tmp_path):
        pass


def test_a_disk_of_terabytes_is_not_read(tmp_path: Path) -> None:
    raw = tmp_path / "card.img"
    raw.touch()
    os.truncate(raw, 65 * GIB)
    with (
        pytest.raises(VerifyError, match=r"card\.img has 65 GiB; allowed: a disk of at most 64 GiB"),
        open_image(raw, tmp_path),
    ):
        pass


@pytest.mark.parametrize("offset", [16 * 2**40, 2**57, 2**62])
def test_a_filesystem_where_no_file_reaches_has_no_bytes(offset: int, tmp_path: Path) -> None:
    """A GPT may say so: 2**48 sectors are taken for a disk."""
    place = Region(tmp_path / "x.img", offset)
    place.path.write_bytes(bytes(MIB))
    assert place.read(1024, 1024) == b""
    with pytest.raises(VerifyError, match="has no superblock"):
        read_ext4(place)
    with pytest.raises(VerifyError, match="boot sector"):
        read_fat(place, "/boot")
    assert read_facts(place).kind == "unknown"
