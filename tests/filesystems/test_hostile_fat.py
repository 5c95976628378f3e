# SPDX-License-Identifier: MIT
"""FATs that are damaged on purpose: read as mtools reads them, or refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.disk.region import Region
from builder.errors import VerifyError
from builder.filesystem import Filesystem
from builder.filesystems.ext4.superblock import MAGIC
from builder.filesystems.fat32.read import read_fat, read_fat_file
from builder.filesystems.table import detect_filesystem, read_facts
from builder.units import MIB
from tests.support.filesystems import mtool

pytestmark = pytest.mark.machine


@pytest.fixture
def fat(tmp_path: Path) -> Region:
    image = tmp_path / "fat"
    image.touch()
    os.truncate(image, 40 * MIB)
    mtool("mformat", "-F", "-c", "1", "-i", image, "::")
    mtool("mmd", "-i", image, "::/OVERLAYS", "::/overlays/deep")
    for name, size in (("config.txt", 5000), ("A long name of a file.dtb", 700), ("empty", 0), ("UPPER.TXT", 10)):
        (tmp_path / name).write_bytes(bytes([size % 251]) * size)
        mtool("mcopy", "-i", image, tmp_path / name, "::/")
    return Region(image, 0)


def test_a_fat_is_read_as_mtools_would(fat: Region, tmp_path: Path) -> None:
    mtool("mcopy", "-i", fat.path, tmp_path / "UPPER.TXT", "::/overlays/deep/")
    entries = {entry.path: entry for entry in read_fat(fat, "/boot")}
    out = tmp_path / "out"
    out.mkdir()
    mtool("mcopy", "-i", fat.path, "-s", "-m", "::*", out)
    there = {f"/boot/{path.relative_to(out).as_posix()}": path for path in out.rglob("*")}
    assert entries.keys() == {"/boot", *there}
    for path, copy in there.items():
        assert (entries[path].kind == "directory") is copy.is_dir()
        if copy.is_file():
            assert entries[path].read() == copy.read_bytes()
            assert entries[path].mtime == int(copy.stat().st_mtime)
    for name in (path.relative_to(out) for path in out.rglob("*") if path.is_file()):
        assert read_fat_file(fat, f"/{name}".upper(), 3) == (
            (out / name).read_bytes()[:3],
            entries[f"/boot/{name}"].mtime,
        )
    assert read_fat_file(fat, "CONFIG.TXT", 3)
    folder = next(path.relative_to(out) for path in out.rglob("*") if path.is_dir())
    assert [read_fat_file(fat, path, 3) for path in ("none", f"/{folder}", "config.txt/x", "")] == [None] * 4


def find_entry(fat: Region, short: bytes) -> int:
    """Return where the entry of a name of 8 and 3 letters is."""
    return fat.path.read_bytes().index(short)


def write(fat: Region, offset: int, content: bytes) -> None:
    with fat.path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(content)


def lead_a_directory_to_the_root(fat: Region) -> str:
    at = find_entry(fat, b"OVERLAYS   ")
    write(fat, at + 20, b"\0\0")
    write(fat, at + 26, b"\x02\0")
    return "/boot/OVERLAYS is the directory /boot again"


def lead_a_chain_into_itself(fat: Region) -> str:
    reserved = int.from_bytes(fat.path.read_bytes()[14:16], "little") * 512
    write(fat, reserved + 2 * 4, b"\x02\0\0\0")
    return "the directory /boot has no end"


def lead_a_file_out(fat: Region) -> str:
    at = find_entry(fat, b"CONFIG  TXT")
    write(fat, at + 20, b"\xff\x0f")
    return "leads to the cluster"


def say_that_a_file_is_longer(fat: Region) -> str:
    write(fat, find_entry(fat, b"CONFIG  TXT") + 28, b"\xff\xff\xff\xff")
    return r"/boot/config\.txt ends after"


def name_with_a_path(fat: Region) -> str:
    write(fat, find_entry(fat, b"UPPER   TXT"), b"../X/Y  TXT")
    return "has the name '../X/Y.TXT' twice, or it can be none"


def name_a_fat_the_same(fat: Region) -> str:
    write(fat, find_entry(fat, b"UPPER   TXT"), b"CONFIG  TXT")
    return "has the name 'config.txt' twice"


def have_no_clusters(fat: Region) -> str:
    write(fat, 13, b"\0")
    return "its boot sector does not say how it is laid out"


def have_a_table_too_small(fat: Region) -> str:
    write(fat, 32, b"\xff\xff\xff\xff")
    return "its table has no room for"


@pytest.mark.parametrize(
    "craft",
    [
        *(lead_a_directory_to_the_root, lead_a_chain_into_itself, lead_a_file_out, say_that_a_file_is_longer),
        *(name_with_a_path, name_a_fat_the_same, have_no_clusters, have_a_table_too_small),
    ],
    ids=lambda craft: craft.__name__,
)
def test_a_crafted_fat_is_refused(craft: Callable[[Region], str], fat: Region) -> None:
    message = craft(fat)
    with pytest.raises(VerifyError, match=message):
        read_fat(fat, "/boot")


def test_signs_of_two_filesystems_are_refused(fat: Region) -> None:
    """One program would read the files of the FAT, and another those of an ext4 in the same place."""
    assert detect_filesystem(fat) is Filesystem.FAT32
    with fat.path.open("r+b") as stream:
        stream.seek(1080)
        stream.write(MAGIC)
    for read in (detect_filesystem, read_facts):
        with pytest.raises(VerifyError, match="at byte 0 has signs of fat32 and ext4; expected one filesystem"):
            read(fat)
