# SPDX-License-Identifier: MIT
"""Block maps: what bmaptool makes of them, also on a disk that was used before."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.errors import ReleaseError
from builder.packaging.bmap import BLOCK, NO_CHECKSUM, BmapCheck, make_bmap, read_bmap, render_bmap
from builder.packaging.free_space import find_unused
from builder.units import MIB
from tests.support.small_image import make_small_image


def check(data: bytes, text: str, piece: int = 1000) -> list[str]:
    """Feed an image to a map in pieces."""
    checker = BmapCheck(read_bmap(text))
    for start in range(0, len(data), piece):
        checker.update(data[start : start + piece])
    return checker.end()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    blocks=st.lists(st.booleans(), min_size=1, max_size=40),
    rest=st.integers(0, BLOCK - 1),
    unused=st.lists(st.tuples(st.integers(0, 41 * BLOCK), st.integers(0, 9 * BLOCK)), max_size=4),
    piece=st.integers(1, 20_000),
)
def test_what_a_map_leaves_out_is_zero_and_unused(
    tmp_path: Path, blocks: list[bool], rest: int, unused: list[tuple[int, int]], piece: int
) -> None:
    data = b"".join((b"x" if filled else b"\0") * BLOCK for filled in blocks) + b"y" * rest
    free, end = [], 0
    for start, size in sorted(unused):
        free.append((max(start, end), max(start, end) + size))
        end = free[-1][1]
    image = tmp_path / "image"
    image.write_bytes(data)
    bmap = make_bmap(image, free)
    mapped = {number for each in bmap.ranges for number in range(each.first, each.last + 1)}
    for number in range(bmap.blocks):
        inside = any(start <= number * BLOCK and (number + 1) * BLOCK <= end for start, end in free)
        is_zero = data[number * BLOCK : (number + 1) * BLOCK] == bytes(BLOCK)
        assert (number in mapped) == (not (inside and is_zero))
    assert read_bmap(render_bmap(bmap)) == bmap
    assert check(data, render_bmap(bmap), piece) == []


@contextmanager
def used_disk(path: Path, size: int) -> Iterator[str]:
    """A device as large as the image that is full of old bytes."""
    with path.open("wb") as stream:
        for _ in range(size // MIB):
            stream.write(b"\xa5" * MIB)
    found = subprocess.run(["losetup", "--find", "--show", path], check=True, capture_output=True, text=True)
    device = found.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.mark.machine
def test_a_used_card_has_sound_filesystems_after_a_copy_by_the_map(tmp_path: Path) -> None:
    image = make_small_image(tmp_path)
    sparse = tmp_path / "sparse.img"  # As an image is that was unpacked: zeros that count are holes too.
    subprocess.run(["cp", "--sparse=always", image, sparse], check=True)
    bmap = make_bmap(sparse, find_unused(sparse))
    assert bmap.mapped_blocks < bmap.blocks // 4
    (tmp_path / "image.bmap").write_text(render_bmap(bmap))
    subprocess.run(["xz", "-0", "--keep", image], check=True)
    disk = tmp_path / "disk"
    with used_disk(disk, image.stat().st_size) as device:
        copy: list[str | Path] = [
            "bmaptool",
            "--quiet",
            "copy",
            "--bmap",
            tmp_path / "image.bmap",
            f"{image}.xz",
            device,
        ]
        subprocess.run(copy, check=True)
    assert b"\xa5" * MIB in disk.read_bytes(), "all of the disk was written"
    for tool, start, size in (("fsck.vfat", 1, 34), ("e2fsck", 35, 12)):
        part = tmp_path / "part"
        part.write_bytes(disk.read_bytes()[start * MIB : (start + size) * MIB])
        words: list[str | Path] = [tool, "-n", *(["-f"] if tool == "e2fsck" else []), part]
        subprocess.run(words, check=True, capture_output=True)
    tree = subprocess.run(["debugfs", "-R", "cat /noise", part], check=True, capture_output=True).stdout
    assert tree == (tmp_path / "tree/noise").read_bytes()


@pytest.mark.machine
def test_bmaptool_copies_a_compressed_image_to_the_same_file(tmp_path: Path) -> None:
    image, copy = make_small_image(tmp_path), tmp_path / "copy.img"
    (tmp_path / "image.bmap").write_text(render_bmap(make_bmap(image, find_unused(image))))
    subprocess.run(["zstd", "-q", image], check=True)
    subprocess.run(["bmaptool", "-q", "copy", "--bmap", tmp_path / "image.bmap", f"{image}.zst", copy], check=True)
    assert copy.read_bytes() == image.read_bytes()


@pytest.fixture
def text(tmp_path: Path) -> str:
    image = tmp_path / "image"
    image.write_bytes(os.urandom(BLOCK) + bytes(3 * BLOCK) + os.urandom(BLOCK + 7))
    return render_bmap(make_bmap(image, [(0, 5 * BLOCK)]))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("<BlockMap>", "<BlokMap>", "cannot be read"),
        ("<ImageSize>", "<Size>", "cannot be read"),
        ("</bmap>", "", "cannot be read"),
        ("> 0 <", "> zero <", "cannot be read"),
        ('chksum="', 'chksum="0', "wrong checksum"),
        ("<?xml", '<!DOCTYPE x [<!ENTITY y "z">]><?xml', "cannot be read"),
    ],
)
def test_a_damaged_map_is_refused(text: str, old: str, new: str, problem: str) -> None:
    with pytest.raises(ReleaseError, match=problem):
        read_bmap(text.replace(old, new))


@pytest.mark.parametrize(("old", "new"), [("> 0 <", "> 5 <"), ("> 4096 <", "> 512 <"), ("> 4-5 <", "> 4-9 <")])
def test_a_map_that_contradicts_itself_is_refused(text: str, old: str, new: str) -> None:
    assert old in text
    with pytest.raises(ReleaseError, match="is inconsistent"):
        read_bmap(seal(text.replace(old, new)))


def seal(text: str) -> str:
    """Give a changed map its right checksum."""
    start = text.index("<BmapFileChecksum>") + len("<BmapFileChecksum> ")
    blank = text[:start] + NO_CHECKSUM + text[start + 64 :]
    return blank.replace(NO_CHECKSUM, hashlib.sha256(blank.encode()).hexdigest(), 1)


def test_an_image_that_is_not_that_of_the_map_is_seen(tmp_path: Path, text: str) -> None:
    data = (tmp_path / "image").read_bytes()
    assert check(data, text) == []
    assert "blocks 0-0 do not have" in check(b"!" + data[1:], text)[0]
    assert "not zero and not in the map" in check(data[:BLOCK] + b"!" + data[BLOCK + 1 :], text)[0]
    assert "as in the map" in check(data + b"!", text)[-1]
    assert "as in the map" in check(data[:-1], text)[0]
