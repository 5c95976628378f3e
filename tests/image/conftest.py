# SPDX-License-Identifier: MIT
"""Small plans, trees and workspaces, made by hand."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.filesystem import Filesystem
from builder.plan.model import BlobPlan, Disk, PackagePlan, Plan, Slot
from builder.recipe.model import Recipe
from builder.rootfs.model import Rootfs
from builder.system.workspace import Workspace, open_workspace
from builder.units import MIB

EPOCH = 1_700_000_000
SIGNATURE = "0a1b2c3d"
ROOT_UUID = "6b1f9a3e-52c7-4d0c-9a55-0d2f3f1a7b11"

RECIPE = Recipe.model_validate(
    {
        "title": "Test board",
        "architecture": "arm64",
        "suite": "trixie",
        "archives": {
            "debian": {
                "url": "http://deb.debian.org/debian",
                "suites": ["trixie"],
                "key": {"file": "/usr/share/keyrings/debian-archive-keyring.gpg"},
            }
        },
        "kernel": {"packages": ["linux-image-arm64"]},
        "hostname": "test",
        "locale": "C.UTF-8",
        "timezone": "Etc/UTC",
        "table": {
            "type": "mbr",
            "partitions": [{"name": "root", "filesystem": "ext4", "size": "auto", "mount": "/", "label": "root"}],
        },
        "boot": {"method": "raspi", "cmdline": {}},
    },
    strict=False,
)


def make_slot(which: int, **changes: Any) -> Slot:
    """Slot 1 is a FAT of 40 MiB, slot 2 an ext4 that is as large as its content."""
    is_boot = which == 1
    facts: dict[str, Any] = {
        "number": which,
        "name": "boot" if is_boot else "root",
        "filesystem": Filesystem.FAT32 if is_boot else Filesystem.EXT4,
        "start_sector": 2048 if is_boot else 2048 + 40 * 2048,
        "sectors": 40 * 2048 if is_boot else None,
        "margin_bytes": 8 * MIB,
        "mount": "/boot/firmware" if is_boot else "/",
        "options": "defaults",
        "label": "bootfs" if is_boot else "rootfs",
        "type_code": "c" if is_boot else "83",
        "bootable": is_boot,
        "partuuid": f"{SIGNATURE}-{which:02}",
        "fs_id": "1A2B3C4D" if is_boot else ROOT_UUID,
    }
    return Slot(**(facts | changes))


def make_disk(**changes: Any) -> Disk:
    facts: dict[str, Any] = {"type": "mbr", "id": SIGNATURE, "slots": (make_slot(1), make_slot(2)), "blobs": ()}
    return Disk(**(facts | changes))


def make_gpt() -> Disk:
    return make_disk(
        type="gpt",
        id="7e5f1c0a-94b8-4c5d-8a57-1f4b5f3f0c01",
        slots=(
            make_slot(
                1,
                name="esp",
                type_code="C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
                partuuid="7e5f1c0a-94b8-4c5d-8a57-1f4b5f3f0c02",
            ),
            make_slot(
                2,
                type_code="B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
                partuuid="7e5f1c0a-94b8-4c5d-8a57-1f4b5f3f0c03",
            ),
        ),
    )


def make_plan(disk: Disk, **changes: Any) -> Plan:
    facts: dict[str, Any] = {
        "board": "test",
        "version": "1",
        "epoch": EPOCH,
        "recipe": RECIPE,
        "directories": (),
        "packages": PackagePlan((), (), ()),
        "disk": disk,
        "kernel_cmdline": "",
        "user_data": None,
        "image_name": "boardwright-test-1.img",
        "steps": (),
    }
    return Plan(**(facts | changes))


def make_blob(**changes: Any) -> BlobPlan:
    facts: dict[str, Any] = {
        "name": "spl",
        "source": "rootfs",
        "location": "/usr/lib/u-boot/spl.bin",
        "sha256": None,
        "offset_bytes": 8192,
        "limit_bytes": 65536,
        "holes": (),
    }
    return BlobPlan(**(facts | changes))


def make_rootfs(directory: Path) -> Rootfs:
    """The trees that `boot_tree` and `root_tree` fill."""
    return Rootfs({"/": directory / "root", "/boot/firmware": directory / "boot"}, ())


def fill_small(directory: Path) -> Rootfs:
    """A few files: quick, needs no privilege."""
    rootfs = make_rootfs(directory)
    root, boot = rootfs.trees["/"], rootfs.trees["/boot/firmware"]
    (root / "etc").mkdir(parents=True)
    (root / "etc/hostname").write_text("test\n")
    (root / "boot/firmware").mkdir(parents=True)
    (root / "usr/lib/u-boot").mkdir(parents=True)
    (root / "usr/lib/u-boot/spl.bin").write_bytes(bytes(range(1, 251)) * 64)
    (boot / "overlays").mkdir(parents=True)
    (boot / "config.txt").write_text("arm_64bit=1\n")
    (boot / "overlays/disable-bt-with-a-long-name.dtbo").write_bytes(b"\0\1" * 999)
    _age(directory)
    return rootfs


def fill_hard(directory: Path) -> Rootfs:
    """Everything that a filesystem can hold and a careless copy loses."""
    rootfs = fill_small(directory)
    root, boot = rootfs.trees["/"], rootfs.trees["/boot/firmware"]
    for number in range(3000):
        path = root / f"usr/share/many/{number % 7}/file-{number:05}-{'x' * (number % 60)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d\n" % number * (number % 900))
    (root / "usr/bin").mkdir()
    (root / "usr/bin/sudo").write_bytes(b"\x7fELF" + bytes(5000))
    (root / "usr/bin/sudo").chmod(0o4755)
    os.link(root / "usr/bin/sudo", root / "usr/bin/sudoedit")
    (root / "usr/bin/sh").symlink_to("dash")
    (root / "usr/bin/far").symlink_to("/" + "long/" * 30 + "target")
    (root / ("n" * 255)).write_text("longest name")
    os.chown(root / ("n" * 255), 70000, 1000)
    (root / "odd name\n\"'\\ü").write_text("odd")
    os.mkfifo(root / "fifo", 0o600)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "disk", stat.S_IFBLK | 0o660, os.makedev(259, 70000))
    with (root / "sparse").open("wb") as stream:
        for offset in (0, 5 * MIB, 9 * MIB + 4096):
            stream.seek(offset)
            stream.write(b"data" * 100)
        stream.truncate(64 * MIB)
    (root / "large").write_bytes(os.urandom(3 * MIB) + bytes(MIB) + b"end")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    root.chmod(0o711)
    _set_xattrs(root)
    for number in range(300):
        (boot / f"overlays/overlay-{number:03}-plus.dtbo").write_bytes(b"%d" % number * 99)
    (boot / "EFI/BOOT").mkdir(parents=True)
    (boot / "EFI/BOOT/BOOTAA64.EFI").write_bytes(os.urandom(MIB))
    (boot / "Mixed Case, plus+more=ü.txt").write_text("x")
    (boot / "empty").touch()
    (boot / "config.txt").chmod(0o444)
    _age(directory)
    os.utime(root / "sparse", (EPOCH + 999, EPOCH + 999))
    os.utime(boot / "empty", (EPOCH + 999, EPOCH + 999))
    os.utime(boot / "EFI/BOOT/BOOTAA64.EFI", (5, 5))
    return rootfs


def _set_xattrs(root: Path) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    entries = [(1, 6, 0xFFFFFFFF), (2, 4, 1000), (4, 4, 0xFFFFFFFF), (16, 4, 0xFFFFFFFF), (32, 4, 0xFFFFFFFF)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    (root / "usr/bin/ping").write_bytes(b"\x7fELF")
    os.setxattr(root / "usr/bin/ping", "security.capability", capability)
    (root / "acl").touch()
    os.setxattr(root / "acl", "system.posix_acl_access", acl)
    (root / "wide").touch()
    os.setxattr(root / "wide", "user.wide", b"w" * 2000)


def _age(directory: Path) -> None:
    """Give every file a time of its own, before the epoch, with nanoseconds."""
    paths = sorted(directory.rglob("*"), key=lambda path: len(path.parts), reverse=True)
    for number, path in enumerate([*paths, directory]):
        time_ns = (EPOCH - 1000 - number % 997) * 10**9 + 123456789
        os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def workspace(state: Path) -> Iterator[Workspace]:
    with open_workspace(state, "test") as opened:
        yield opened


@pytest.fixture
def small(tmp_path: Path) -> Rootfs:
    return fill_small(tmp_path / "trees")
