# SPDX-License-Identifier: MIT
"""What a tree needs is never measured too small, and hardly too large."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.filesystems.ext4 import make as ext4
from builder.filesystems.ext4.inodes import _extra, _seconds, read_superblock
from builder.filesystems.fat32 import make as fat32
from builder.filesystems.fat32.names import check_names
from builder.filesystems.table import read_facts
from builder.filesystems.target import Target, target_in_file
from builder.image.sizes import find_size
from builder.system.workspace import Workspace
from builder.units import KIB, MIB, SECTOR

from .conftest import EPOCH, make_slot


def fill_long_names(tree: Path) -> None:
    for number in range(4000):
        (tree / f"{number:04}-{'n' * 240}").touch()


def fill_fragments(tree: Path) -> None:
    with (tree / "fragments").open("wb") as stream:
        for number in range(3000):
            stream.seek(number * 16 * KIB)
            stream.write(b"x" * 4096)


def fill_xattrs(tree: Path) -> None:
    for number in range(1500):
        path = tree / f"f{number}"
        path.touch()
        os.setxattr(path, "user.long", b"v" * (20 + number % 90))


def fill_links(tree: Path) -> None:
    for number in range(1500):
        (tree / f"l{number}").symlink_to("x" * (40 + number % 40))
    (tree / "file").write_bytes(b"1" * 5 * MIB)
    for number in range(50):
        os.link(tree / "file", tree / f"again{number}")


def fill_odd_sizes(tree: Path) -> None:
    for number in range(600):
        (tree / f"d{number % 40}").mkdir(exist_ok=True)
        (tree / f"d{number % 40}" / f"f{number}").write_bytes(b"z" * (number * 53))


def fill_nothing(tree: Path) -> None:
    pass


def fill_large(tree: Path) -> None:
    """More than one group: metadata lies between the blocks of one file."""
    for number in range(3):
        (tree / f"large{number}").write_bytes(b"%d" % number * 150 * MIB)


FILLERS = [fill_long_names, fill_fragments, fill_xattrs, fill_links, fill_odd_sizes, fill_nothing, fill_large]


@pytest.mark.machine
@pytest.mark.parametrize("fill", FILLERS, ids=lambda fill: fill.__name__)
def test_an_ext4_of_the_measured_size_holds_the_tree(
    fill: Callable[[Path], None], workspace: Workspace, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    fill(tree)
    content = ext4.measure(tree, workspace)
    size = find_size(content, 0)
    slot = make_slot(2, start_sector=2048, sectors=size // SECTOR)
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, MIB + size)
    target = target_in_file(image, slot)
    ext4.make(target, slot, tree, EPOCH, workspace)
    ext4.check(target, slot)
    empty = ext4._read_empty(size, workspace)
    used = empty.free_blocks - read_superblock(target).free_blocks
    assert used <= content.blocks <= used * 1.12 + 16
    assert empty.free_inodes - read_superblock(target).free_inodes == content.inodes


@pytest.mark.machine
def test_a_fat_of_the_measured_size_holds_the_tree(workspace: Workspace, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    for number in range(700):
        (tree / "a" / f"a name of some length {number}.txt").write_bytes(b"z" * (number * 211 % 60000))
    (tree / "a/b/big").write_bytes(b"1" * 120 * MIB)
    content = fat32.measure(tree, workspace)
    size = find_size(content, 0)
    slot = make_slot(1, sectors=size // SECTOR)
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, MIB + size)
    target = target_in_file(image, slot)
    fat32.make(target, slot, tree, EPOCH, workspace)
    fat32.check(target, slot)
    assert 0 <= read_facts(target).free_bytes < 4 * MIB


@pytest.mark.parametrize(
    ("mib", "cluster"), [(33, None), (34, 1), (64, 1), (100, 2), (200, 4), (256, 4), (512, 8), (4096, 8), (60000, 8)]
)
def test_clusters_are_as_large_as_a_fat32_allows(mib: int, cluster: int | None) -> None:
    assert fat32.find_cluster_sectors(mib * 2048) == cluster


def test_a_fat_is_not_made_where_there_is_no_room(workspace: Workspace, tmp_path: Path) -> None:
    assert fat32.FatContent(()).shortage_bytes(MIB, 0) == 33 * MIB
    with pytest.raises(AssertionError, match="boot was not measured"):
        fat32.make(Target(tmp_path, 0, 0, 2048), make_slot(1), tmp_path, EPOCH, workspace)


def test_a_slot_without_a_size_has_no_range(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="root was not measured"):
        target_in_file(tmp_path, make_slot(2))


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ('say "hi"', "control character"),
        ("a:b", "control character"),
        ("a\nb", "control character"),
        ("back\\slash", "control character"),
        ("trailing.", "dot or a space"),
        ("trailing ", "dot or a space"),
        ("a[1]", "pattern"),
        ("aux.txt", "DOS device"),
        ("com1", "DOS device"),
        ("x" * 256, "longer than 255"),
        ("\udcff", "not UTF-8"),
        ("\U0001f600", "first plane"),
    ],
)
def test_names_that_a_fat_cannot_hold(name: str, fault: str) -> None:
    problems = check_names("/overlays", [name])
    assert len(problems) == 1
    assert fault in problems[0]
    assert problems[0].startswith("/overlays/")
    problems[0].encode()  # It can be shown.


def test_names_that_a_fat_can_hold() -> None:
    names = ["config.txt", "bcm2711-rpi-4-b.dtb", "ünï", ".hidden", "a b+c,d;e=f", "x" * 255, "console", "#", "~1"]
    assert check_names("", names) == []
    assert check_names("", ["Readme", "README"]) == ["/README and /Readme are the same name on a FAT"]


def test_a_file_too_large_for_a_fat_is_named(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 32)
    with pytest.raises(Exception, match=r"/huge has 4294967296 bytes; expected at most 4294967295"):
        fat32.measure(tmp_path, workspace)


@pytest.mark.parametrize("seconds", [0, EPOCH, 2**31 - 1, 2**31, 2**32 - 1, 2**32 + 5, 3 * 2**32])
def test_times_of_ext4_count_beyond_2038(seconds: int) -> None:
    raw = (seconds & 0xFFFFFFFF).to_bytes(4, "little") + _extra(seconds).to_bytes(4, "little")
    assert _seconds(raw, 0, 4) == seconds


@pytest.mark.machine
def test_a_time_after_2038_is_kept(workspace: Workspace, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "late").touch()
    os.utime(tree / "late", (2**31 + 77, 2**31 + 77))
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, 17 * MIB)
    slot = make_slot(2, start_sector=2048, sectors=16 * 2048)
    ext4.make(target_in_file(image, slot), slot, tree, 2**31 + 1000, workspace)
    ext4.check(target_in_file(image, slot), slot)


def test_a_copy_of_a_range_is_sparse_and_exact(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 64 * MIB)
    with disk.open("r+b") as stream:
        for offset in (0, MIB - 3, 9 * MIB, 50 * MIB - 5):
            stream.seek(offset)
            stream.write(b"0123456789")
    target = Target(disk, MIB, 2048, 49 * 2048)
    path = tmp_path / "copy"
    with fat32.copied(target, target.size_bytes, path):
        assert path.read_bytes() == target.read(0, 49 * MIB)
        assert path.stat().st_size == 49 * MIB
        assert path.stat().st_blocks * 512 < MIB
    assert not path.exists()
