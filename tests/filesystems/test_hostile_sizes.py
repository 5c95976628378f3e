# SPDX-License-Identifier: MIT
"""Filesystems that make much of few bytes: read to a limit of time and memory, and then refused."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.disk import walk
from builder.disk.elf import HEAD_BYTES, is_elf
from builder.disk.entry import Entry
from builder.disk.region import Region
from builder.errors import VerifyError
from builder.filesystems.ext4 import read as ext4
from builder.filesystems.ext4.read import read_ext4
from builder.filesystems.fat32 import read as fat
from builder.filesystems.fat32.read import find_free, read_fat
from builder.units import KIB, MIB
from tests.support.filesystems import debug, make_ext4, mtool

pytestmark = pytest.mark.machine

BLOCK = 4 * KIB
FREE = 4000
"""Blocks from here on are free in an ext4 of 16 MiB."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tree = tmp_path / "source"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n" * 200)
    return tree


def is_program(entry: Entry) -> bool:
    return is_elf(entry.read(HEAD_BYTES))


def write_blocks(place: Region, *blocks: bytes) -> None:
    with place.path.open("r+b") as stream:
        stream.seek(FREE * BLOCK)
        stream.write(b"".join(block.ljust(BLOCK, b"\0") for block in blocks))


def lead_extents_to_the_same_block(source: Path, image: Path) -> Region:
    """Five levels, where each of 340 rows leads to the one block below, and that to nothing: 340⁴ reads."""
    place = make_ext4(source, image, "-b", "4096")
    rows = [
        struct.pack("<HHHHI", 0xF30A, 340, 340, depth, 0) + struct.pack("<IIHH", 0, FREE + 5 - depth, 0, 0) * 340
        for depth in (4, 3, 2, 1)
    ]
    write_blocks(place, *rows, struct.pack("<HHHHI", 0xF30A, 0, 340, 0, 0))
    root = struct.pack("<HHHHI", 0xF30A, 1, 4, 5, 0) + struct.pack("<IIHH", 0, FREE, 0, 0)
    set_blocks(place, root)
    return place


def lead_a_map_to_the_same_block(source: Path, image: Path) -> Region:
    """Three levels of 1024 numbers that are all the same, and then zeros."""
    place = make_ext4(source, image, "-b", "4096", "-O", "^extent,^64bit,^metadata_csum")
    write_blocks(place, struct.pack("<I", FREE + 1) * 1024, struct.pack("<I", FREE + 2) * 1024, b"")
    set_blocks(place, bytes(14 * 4) + struct.pack("<I", FREE))
    debug(place, f"sif /etc/passwd size {2**41}")
    return place


def set_blocks(place: Region, content: bytes) -> None:
    """Write the 60 bytes of an inode that say where the content of /etc/passwd lies."""
    numbers = struct.unpack("<15I", content.ljust(60, b"\0"))
    names = [*range(12), "IND", "DIND", "TIND"]
    debug(place, *(f"sif /etc/passwd block[{name}] {number}" for name, number in zip(names, numbers, strict=True)))


def share_the_value_of_attributes(source: Path, image: Path) -> Region:
    """A block of attributes whose 100 names have the same two kilobytes for their value."""
    place = make_ext4(source, image, "-b", "4096")
    rows = b"".join(
        struct.pack("<BBHII", 2, 1, 2000, 0, 2000) + bytes(4) + f"{at:02}".encode() + b"\0\0" for at in range(99)
    )
    write_blocks(place, struct.pack("<IIII", ext4.XATTRS, 1, 1, 0).ljust(32, b"\0") + rows)
    debug(place, f"sif /etc/passwd file_acl {FREE}")
    return place


def have_long_links(source: Path, image: Path) -> Region:
    for number in range(40):
        (source / f"{number}").symlink_to("x" * 3000)
    return make_ext4(source, image, "-b", "4096")


CRAFTED: dict[Callable[[Path, Path], Region], str] = {
    lead_extents_to_the_same_block: "bytes that say where its files lie",
    lead_a_map_to_the_same_block: "bytes that say where its files lie",
    share_the_value_of_attributes: "bytes of links and extended attributes",
    have_long_links: "bytes of links and extended attributes",
}


@pytest.mark.parametrize("craft", CRAFTED, ids=lambda craft: craft.__name__)
def test_an_ext4_cannot_make_much_of_few_bytes(
    craft: Callable[[Path, Path], Region], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ext4, "MOST_NODES", 8 * MIB)
    monkeypatch.setattr(ext4, "MOST_TEXT", 100 * KIB)
    with pytest.raises(VerifyError, match=f"the ext4 is damaged: it has more than [0-9]+ {CRAFTED[craft]}"):
        read_ext4(craft(source, tmp_path / "image"))


def test_paths_have_an_end(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source / "/".join(["d" * 200] * 10)).mkdir(parents=True)
    monkeypatch.setattr(walk, "MOST_TEXT", 5000)
    with pytest.raises(VerifyError, match="more than 5000 letters in its paths"):
        read_ext4(make_ext4(source, tmp_path / "image"))


@pytest.mark.parametrize("read", [lambda entry: entry.read(), lambda entry: entry.hash("md5")])
def test_files_are_read_to_an_end_together(
    read: Callable[[Entry], object], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holes take no room."""
    for number in range(10):
        (source / f"etc/{number}").touch()
        os.truncate(source / f"etc/{number}", 10 * MIB)
    monkeypatch.setattr(ext4, "MOST_READ", 50 * MIB)
    files = [each for each in read_ext4(make_ext4(source, tmp_path / "image")) if each.size_bytes == 10 * MIB]
    assert [is_program(each) for each in files] == [False] * 10
    with pytest.raises(VerifyError, match="more than 52428800 bytes that are read of its files"):
        [read(each) for each in files]


def test_a_file_of_many_names_is_read_for_each_and_hashed_once(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(source / "etc/passwd", 10 * MIB)
    for number in range(9):
        os.link(source / "etc/passwd", source / f"etc/{number}")
    monkeypatch.setattr(ext4, "MOST_READ", 50 * MIB)
    files = [each for each in read_ext4(make_ext4(source, tmp_path / "image")) if each.size_bytes == 10 * MIB]
    content = (source / "etc/passwd").read_bytes()
    assert {each.hash("sha256") for each in files} == {hashlib.sha256(content).hexdigest()}
    with pytest.raises(VerifyError, match="more than 52428800 bytes that are read of its files"):
        [each.read() for each in files]


@pytest.fixture
def shared(tmp_path: Path) -> Region:
    """A FAT with a file of half of it, and two more that begin with its first cluster."""
    image = tmp_path / "fat"
    image.touch()
    os.truncate(image, 40 * MIB)
    mtool("mformat", "-F", "-c", "1", "-i", image, "::")
    (tmp_path / "ONE").write_bytes(bytes(20 * MIB))
    mtool("mcopy", "-i", image, tmp_path / "ONE", "::/")
    content = image.read_bytes()
    at = content.index(b"ONE        ")
    for number, name in enumerate((b"TWO", b"THREE"), 1):
        content = (
            content[: at + 32 * number]
            + name.ljust(11)
            + content[at + 11 : at + 32]
            + content[at + 32 * (number + 1) :]
        )
    image.write_bytes(content)
    return Region(image, 0)


def test_files_of_a_fat_cannot_share_clusters(shared: Region) -> None:
    with pytest.raises(VerifyError, match=r"more than [0-9]+ clusters in its chains, of which each can be in one"):
        read_fat(shared, "/boot")


def test_pieces_of_a_fat_have_an_end(shared: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fat, "MOST_PIECES", 0)
    with pytest.raises(VerifyError, match="more than 0 pieces of files"):
        read_fat(shared, "/boot")


@pytest.mark.parametrize("at", [13, 14, 16, 32, 36])
def test_what_is_free_is_asked_of_a_sound_fat_only(at: int, shared: Region) -> None:
    with shared.path.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"\xff\xff\xff\xff" if at == 32 else bytes(4))
    with pytest.raises(VerifyError, match="the FAT is damaged"):
        list(find_free(shared))
