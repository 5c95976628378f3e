# SPDX-License-Identifier: MIT
"""Initrds, kernels and texts of the boot partition that are large once unpacked: refused at a limit."""

from __future__ import annotations

import gzip
import lzma
import re
from pathlib import Path

import pytest

from builder.disk import initrd
from builder.disk.initrd import read_initrd
from builder.errors import VerifyError
from builder.units import MIB
from builder.verify.facts import kernel
from builder.verify.facts.kernel import XZ_MAGIC, Kernels, unpack_kernel
from builder.verify.live.qemu.kernel import take_boot_files
from tests.disk.test_initrd import archive
from tests.support.qemu_images import FILES, make_fat_image, plan_of
from tests.support.trees import make_tree

pytestmark = pytest.mark.machine


def test_compressed_parts_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initrd, "MOST_PARTS", 3)
    assert read_initrd(gzip.compress(b"") * 3) == {}
    with pytest.raises(VerifyError, match="more than 3 compressed parts"):
        read_initrd(gzip.compress(b"") * 4)


def test_parts_have_an_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = gzip.compress(archive(tmp_path / "a", init="x" * 2 * MIB))
    monkeypatch.setattr(initrd, "LARGEST", 3 * MIB)
    assert len(read_initrd(part)["init"].content) == 2 * MIB
    with pytest.raises(VerifyError, match="bytes unpacked, which is the most that is read"):
        read_initrd(part * 2)


def test_a_name_in_an_initrd_has_an_end(tmp_path: Path) -> None:
    data = bytearray(archive(tmp_path / "a", one="1"))
    data[6 + 8 * 11 : 6 + 8 * 12] = b"00ffffff"
    with pytest.raises(VerifyError, match="the name at byte 110 has 16777215 bytes"):
        read_initrd(bytes(data))


def test_members_are_counted_over_all_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initrd, "MOST_MEMBERS", 2)
    with pytest.raises(VerifyError, match="more than 2 members"):
        read_initrd(archive(tmp_path / "a", one="1") * 3)


def test_initrds_have_an_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = archive(tmp_path / "a", init="x" * 1000)
    system = Kernels()
    system.tree = make_tree(tmp_path, {f"/boot/initrd.img-{number}": data.decode() for number in range(3)})
    assert len(system.initrds) == 3
    del system.initrds
    monkeypatch.setattr(kernel, "MOST_OF_INITRDS", 2500)
    with pytest.raises(VerifyError, match="the initrds of /boot have more than 2500 bytes unpacked"):
        _ = system.initrds


def test_a_kernel_is_unpacked_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "LARGEST_KERNEL", 1000)
    packed = lzma.compress(b"k" * MIB)
    assert len(unpack_kernel(packed)) == len(packed) + 1000
    many = XZ_MAGIC * (kernel.MOST_MAGICS + 1) + packed
    assert unpack_kernel(many) == many


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.txt", "#" * (MIB + 1), "has 1048577 bytes; expected at most 65536"),
        ("cmdline.txt", "quiet " * 1000, "has 5999 characters"),
        ("cmdline.txt", "quiet\0", "has the character U+0000"),
    ],
)
def test_a_card_has_no_text_that_is_none(name: str, text: str, message: str, tmp_path: Path) -> None:
    plan = plan_of("rpi")
    image = make_fat_image(tmp_path / "disk.img", plan, FILES | {name: text})
    with pytest.raises(VerifyError, match=re.escape(f"{name} of the image {message}")):
        take_boot_files(image, plan, tmp_path)
