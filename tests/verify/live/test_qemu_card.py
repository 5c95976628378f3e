# SPDX-License-Identifier: MIT
"""The card a machine starts from, and what is taken out of it, with real mtools."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import MachineError, ToolError, VerifyError
from builder.plan.model import Plan
from builder.system.process import run
from builder.units import GIB, MIB
from builder.verify.live.qemu.card import find_firmware, find_size, make_card
from builder.verify.live.qemu.kernel import take_boot_files, take_root_file
from tests.support.qemu_images import FILES, make_fat_image, plan_of, read_fat

pytestmark = pytest.mark.machine


@pytest.fixture
def plan() -> Plan:
    return plan_of("rpi")


@pytest.fixture
def image(tmp_path: Path, plan: Plan) -> Path:
    return make_fat_image(tmp_path / "disk.img", plan)


def test_the_users_data_is_on_the_card_and_the_image_is_as_it_was(image: Path, plan: Plan, tmp_path: Path) -> None:
    before = hashlib.sha256(image.read_bytes()).digest()
    mine = tmp_path / "mine"
    mine.write_text("#cloud-config\nhostname: mine\n")
    card = make_card(image, plan, tmp_path, user_data=mine)
    assert read_fat(card, plan, "user-data") == mine.read_text()
    assert hashlib.sha256(image.read_bytes()).digest() == before


def test_without_user_data_the_cards_is_the_images(image: Path, plan: Plan, tmp_path: Path) -> None:
    assert read_fat(make_card(image, plan, tmp_path), plan, "user-data") == FILES["user-data"]


def test_a_card_takes_no_more_room_than_its_image(image: Path, plan: Plan, tmp_path: Path) -> None:
    card = make_card(image, plan, tmp_path)
    assert card.stat().st_size == 4 * GIB
    assert card.stat().st_blocks * 512 < 10 * MIB


@pytest.mark.parametrize(
    ("image_bytes", "card_bytes"), [(MIB, 4 * GIB), (2 * GIB, 4 * GIB), (2 * GIB + 1, 8 * GIB), (7 * GIB, 16 * GIB)]
)
def test_a_card_is_a_power_of_two_with_room_to_grow(image_bytes: int, card_bytes: int) -> None:
    assert find_size(image_bytes) == card_bytes


def test_user_data_that_is_not_there_is_said(image: Path, plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="mcopy"):
        make_card(image, plan, tmp_path, user_data=tmp_path / "none")


def test_a_board_without_fat_has_no_place_for_user_data(plan: Plan) -> None:
    only_root = tuple(slot for slot in plan.disk.slots if slot.mount == "/")
    with pytest.raises(MachineError, match="no FAT partition"):
        find_firmware(replace(plan, disk=replace(plan.disk, slots=only_root)))


def test_a_board_with_an_esp_has_user_data_there() -> None:
    assert find_firmware(plan_of("qemu-arm64")).mount == "/boot/efi"


def test_what_the_firmware_would_load_is_taken(image: Path, plan: Plan, tmp_path: Path) -> None:
    files = take_boot_files(image, plan, tmp_path)
    assert files.kernel.read_text() == "the kernel"
    assert files.initrd.read_text() == "the initrd"
    assert files.device_tree
    assert files.device_tree.read_text() == "the tree"
    assert files.cmdline == "console=tty0 console=ttyS1,115200 root=PARTUUID=1-02"


def test_no_name_in_an_image_is_that_of_another_file_of_the_work(plan: Plan, tmp_path: Path) -> None:
    """The card, the disk that specs read after the boot, the key of ssh."""
    work = tmp_path / "work"
    work.mkdir()
    mine = {name: f"mine: {name}" for name in ("card.img", "disk.img", "id", "console.log", "kernel", "taken.img")}
    for name, text in mine.items():
        (work / name).write_text(text)
    for kernel, initrd in (("card.img", "disk.img"), ("id", "console.log"), ("kernel", "kernel")):
        named = {"config.txt": f"kernel={kernel}\ninitramfs {initrd}\n", kernel: "its kernel", initrd: "its initrd"}
        image = make_fat_image(tmp_path / "disk.img", plan, FILES | named)
        files = take_boot_files(image, plan, work)
        assert (files.kernel.name, files.initrd.name) == ("kernel", "initrd")
        assert files.kernel.read_text() == named[kernel]
        assert files.initrd.read_text() == named[initrd]
        assert {each.name: each.read_text() for each in work.iterdir() if each.is_file()} == mine


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"config.txt": "initramfs initrd.img-6.12\n"}, "config.txt of the image has no line with kernel="),
        ({"config.txt": "kernel=vmlinuz-6.12\n"}, "config.txt of the image has no line with initramfs"),
        ({"config.txt": "kernel=gone\ninitramfs initrd.img-6.12\n"}, "the first partition of the image has no gone"),
        ({"config.txt": "kernel=*\ninitramfs initrd.img-6.12\n"}, r"names the file '\*'; expected a relative path"),
        ({"config.txt": "kernel=a/../../b\ninitramfs initrd.img-6.12\n"}, "expected a relative path"),
        ({"config.txt": "kernel=..\ninitramfs initrd.img-6.12\n"}, "expected a relative path"),
        ({"cmdline.txt": "quiet\0rw\n"}, r"cmdline\.txt of the image has the character U\+0000"),
        ({"cmdline.txt": "quiet " * 1000}, r"cmdline\.txt of the image has 5999 characters"),
    ],
)
def test_what_is_missing_is_said(changed: dict[str, str], message: str, plan: Plan, tmp_path: Path) -> None:
    image = make_fat_image(tmp_path / "disk.img", plan, FILES | changed)
    with pytest.raises(VerifyError, match=message):
        take_boot_files(image, plan, tmp_path)


def test_a_damaged_card_gets_no_user_data(image: Path, plan: Plan, tmp_path: Path) -> None:
    start = plan.disk.slots[0].start_sector * 512
    with image.open("r+b") as stream:
        stream.seek(start + 14)
        table = start + int.from_bytes(stream.read(2), "little") * 512
        stream.seek(table + 8)
        stream.write((2).to_bytes(4, "little"))  # The root directory's cluster is followed by itself.
    mine = tmp_path / "mine"
    mine.write_text("#cloud-config\n")
    with pytest.raises(VerifyError, match="the FAT is damaged"):
        make_card(image, plan, tmp_path, user_data=mine)


UBOOT = "usr/lib/u-boot/x/uboot.elf"


@pytest.mark.parametrize(
    ("size", "message"), [(3, ""), (0, f"has no {UBOOT}"), (None, f"has no {UBOOT}"), (1 << 40, "more than 64 MiB at")]
)
def test_a_boot_loader_is_taken_from_the_root(tmp_path: Path, size: int | None, message: str) -> None:
    """As large as a hole may be, it would have filled the disk."""
    plan = plan_of("qemu-riscv64")
    root = next(slot for slot in plan.disk.slots if slot.mount == "/")
    (tmp_path / "tree" / UBOOT).parent.mkdir(parents=True)
    if size is not None:
        with (tmp_path / "tree" / UBOOT).open("wb") as stream:
            stream.truncate(size)
    disk = tmp_path / "disk.img"
    with disk.open("wb") as stream:
        stream.truncate(root.start_sector * 512 + 64 * MIB)
    offset = f"-Eoffset={root.start_sector * 512}"
    run(["mke2fs", "-q", "-F", "-t", "ext4", offset, "-d", tmp_path / "tree", disk, "64M"])
    if message:
        with pytest.raises(VerifyError, match=message):
            take_root_file(disk, plan, UBOOT, tmp_path)
    else:
        taken = take_root_file(disk, plan, UBOOT, tmp_path)
        assert taken.read_bytes() == bytes(3)
        assert taken == tmp_path / "taken/loader"
