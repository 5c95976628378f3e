# SPDX-License-Identifier: MIT
"""The partition table, and the boot blobs beside it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import RecipeError, SpaceError, VerifyError
from builder.image.blobs import BlobFile, check_blobs, find_blobs, find_inside, write_blobs
from builder.image.table import check_table, disk_bytes, render_table, write_table
from builder.plan.model import BlobPlan, Disk
from builder.rootfs.model import Rootfs
from builder.units import MIB

from .conftest import make_blob, make_disk, make_gpt, make_slot


def sized(disk: Disk) -> Disk:
    return replace(disk, slots=(disk.slots[0], replace(disk.slots[1], sectors=20 * 2048)))


def make_file(path: Path, disk: Disk) -> Path:
    path.touch()
    os.truncate(path, disk_bytes(disk))
    return path


def test_the_script_leaves_nothing_to_sfdisk() -> None:
    assert render_table(sized(make_disk())) == (
        "label: dos\nlabel-id: 0x0a1b2c3d\nunit: sectors\n\n"
        "1 : start=2048, size=81920, type=c, bootable\n"
        "2 : start=83968, size=40960, type=83\n"
    )
    assert "first-lba: 34\n" in render_table(sized(make_gpt()))
    assert 'name="esp", attrs="LegacyBIOSBootable"\n' in render_table(sized(make_gpt()))


def test_the_disk_ends_after_everything_on_it() -> None:
    assert disk_bytes(sized(make_disk())) == 61 * MIB
    assert disk_bytes(sized(make_gpt())) == 62 * MIB
    assert disk_bytes(replace(sized(make_disk()), blobs=(make_blob(offset_bytes=61 * MIB),))) == 62 * MIB


@pytest.mark.machine
@pytest.mark.parametrize("disk", [make_disk(), make_gpt()], ids=["mbr", "gpt"])
def test_a_table_of_another_plan_is_refused(disk: Disk, tmp_path: Path) -> None:
    disk = sized(disk)
    image = make_file(tmp_path / "image", disk)
    write_table(disk, image, tmp_path / "log")
    check_table(disk, image)
    for changes, words in (
        ({"start_sector": 4096}, "1 start: found 2048; expected 4096"),
        ({"sectors": 9}, "1 size: found 81920; expected 9"),
        ({"bootable": False}, "1 bootable: found True; expected False"),
    ):
        other = replace(disk, slots=(replace(disk.slots[0], **changes), disk.slots[1]))
        with pytest.raises(VerifyError, match=words):
            check_table(other, image)
    with pytest.raises(VerifyError, match=r"2 start: found [0-9]+; expected None"):
        check_table(replace(disk, slots=disk.slots[:1]), image)
    with pytest.raises(VerifyError, match="id: found"):
        check_table(replace(disk, id="00000000"), image)


@pytest.mark.machine
def test_a_table_that_sfdisk_calls_damaged_is_refused(tmp_path: Path) -> None:
    disk = sized(make_gpt())
    image = make_file(tmp_path / "image", disk)
    write_table(disk, image, tmp_path / "log")
    with image.open("r+b") as stream:
        stream.seek(-512, os.SEEK_END)
        stream.write(bytes(512))
    with pytest.raises(VerifyError, match="sfdisk finds the partition table damaged"):
        check_table(disk, image)


@pytest.mark.machine
def test_a_slot_may_start_before_the_first_mib(tmp_path: Path) -> None:
    disk = make_gpt()
    disk = replace(disk, slots=(replace(disk.slots[0], start_sector=64, sectors=1000), make_slot(2, sectors=2048)))
    disk = replace(disk, slots=(disk.slots[0], replace(make_gpt().slots[1], sectors=2048)))
    image = make_file(tmp_path / "image", disk)
    write_table(disk, image, tmp_path / "log")
    check_table(disk, image)


def find(disk: Disk, tree: Path, **fetched: Path) -> tuple[BlobFile, ...]:
    return find_blobs(disk, Rootfs({"/": tree}, ()), fetched)


@pytest.mark.machine
def test_the_table_wins_over_a_blob_on_the_disk_signature(tmp_path: Path) -> None:
    """ODROID: bl1 has 442 bytes at 0, the rest follows at 512; the hole keeps the table."""
    (tmp_path / "bl1").write_bytes(b"\xb1" * 4096)
    disk = replace(sized(make_disk()), blobs=(make_blob(location="/bl1", offset_bytes=0, holes=((442, 512),)),))
    image = make_file(tmp_path / "image", disk)
    files = find(disk, tmp_path)
    write_blobs(files, image)
    write_table(disk, image, tmp_path / "log")
    check_blobs(files, image)
    check_table(disk, image)
    start = image.read_bytes()[:4097]
    assert start[:440] == b"\xb1" * 440
    assert start[440:446] == bytes.fromhex("3d2c1b0a0000")
    assert start[510:] == b"\x55\xaa" + b"\xb1" * 3584 + b"\0"


@pytest.mark.machine
def test_a_blob_under_the_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bl1").write_bytes(b"\xb1" * 4096)
    disk = replace(sized(make_disk()), blobs=(make_blob(location="bl1", offset_bytes=0),))
    image = make_file(tmp_path / "image", disk)
    files = find(disk, tmp_path)
    write_blobs(files, image)
    write_table(disk, image, tmp_path / "log")
    with pytest.raises(VerifyError, match="blob spl is damaged from byte 446 of the disk on") as caught:
        check_blobs(files, image)
    assert "blobs.spl.holes" in caught.value.hint


@pytest.mark.parametrize(
    ("holes", "written"),
    [
        ((), "0123456789"),
        (((0, 3),), "...3456789"),
        (((8, 20),), "01234567.."),
        (((5, 6), (2, 3)), "01.34.6789"),
        (((2, 6), (4, 5)), "01....6789"),
        (((30, 40),), "0123456789"),
    ],
)
def test_holes_are_left_alone(holes: tuple[tuple[int, int], ...], written: str, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"0123456789")
    image = tmp_path / "image"
    image.write_bytes(b"." * 20)
    files = (BlobFile(make_blob(offset_bytes=5, holes=holes), tmp_path / "blob"),)
    write_blobs(files, image)
    assert image.read_bytes() == f".....{written}.....".encode()
    check_blobs(files, image)


@pytest.mark.parametrize(
    ("blob", "words", "hint"),
    [
        (make_blob(location="/usr/lib/none.bin"), "blobs.spl.rootfs: file /usr/lib/none.bin does not exist", "dpkg -L"),
        (make_blob(location="/usr"), "blobs.spl.rootfs: file /usr does not exist", "dpkg -L"),
        (make_blob(location="/outside"), "blobs.spl.rootfs: file /outside does not exist", "dpkg -L"),
        (make_blob(location="/circle"), "blobs.spl.rootfs: file /circle does not exist", "dpkg -L"),
        (make_blob(source="file", location="/none"), "blobs.spl.file: file /none does not exist", "board's directory"),
        (
            make_blob(source="url", location="http://x/y"),
            "blobs.spl.url: file http://x/y does not exist",
            "was not downloaded",
        ),
    ],
)
def test_a_missing_blob_is_named_with_its_key(blob: BlobPlan, words: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the machine, not of the tree")
    tree = tmp_path / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "outside").symlink_to("../secret")
    (tree / "circle").symlink_to("circle")
    with pytest.raises(RecipeError, match=words) as caught:
        find(make_disk(blobs=(blob,)), tree)
    assert hint in caught.value.hint


def test_a_blob_larger_than_its_room_is_refused(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(65537))
    with pytest.raises(SpaceError, match=r"blob spl: found 65537 bytes; expected at most 65536 \(64 KiB\)") as caught:
        find(make_disk(blobs=(make_blob(location="blob"),)), tmp_path)
    assert "blobs.spl.size" in caught.value.hint
    (tmp_path / "blob").write_bytes(bytes(65536))
    assert find(make_disk(blobs=(make_blob(location="blob"),)), tmp_path)


def test_blobs_come_from_three_places(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    blobs = (
        make_blob(name="one", location="a"),
        make_blob(name="two", source="file", location=str(tmp_path / "b")),
        make_blob(name="three", source="url", location="https://example.org/c"),
    )
    assert [blob.path for blob in find(make_disk(blobs=blobs), tmp_path, three=tmp_path / "c")] == [
        tmp_path / "a",
        tmp_path / "b",
        tmp_path / "c",
    ]


def test_links_lead_to_places_inside_the_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr/lib").mkdir(parents=True)
    (tree / "usr/lib/spl").write_text("inside")
    (tree / "lib").symlink_to("/usr/lib")
    (tree / "up").symlink_to("../../../../usr/lib")
    (tree / "usr/lib/again").symlink_to("../../lib/spl")
    for location in ("/lib/spl", "lib/again", "up/spl", "../../usr/lib/spl", "/usr/./lib/../lib/spl"):
        assert find_inside(tree, location) == tree / "usr/lib/spl"
    assert find_inside(tree, "/usr/lib/spl/deeper") is None
