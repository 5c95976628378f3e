# SPDX-License-Identifier: MIT
"""Filesystems in one tree: what the system sees when all are mounted, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.disk.entry import Entry
from builder.disk.filetree import FileTree
from builder.disk.join import MountedPart, join
from builder.verify.facts.rights import Rights
from tests.support.rights import FILES, ROOT_SLOT, Image
from tests.support.trees import make_tree

FIRMWARE = "/boot/firmware"


def part(mount: str, work: Path, files: dict[str, str], *, is_fat: bool = False) -> MountedPart:
    """Return a filesystem with these files, by their paths in it."""
    work.mkdir()
    inside = make_tree(work, files).entries

    def read(top: str) -> Iterable[Entry]:
        return [replace(entry, path=(top.rstrip("/") + path).rstrip("/") or "/") for path, entry in inside.items()]

    return MountedPart(mount, is_fat, read)


def mount_fat(work: Path, root: dict[str, str], fat: dict[str, str]) -> FileTree:
    return join([part("/", work / "root", root), part(FIRMWARE, work / "fat", fat, is_fat=True)])


def test_what_lies_below_a_mount_point_is_not_seen(tmp_path: Path) -> None:
    root = {f"{FIRMWARE}/user-data": "good", f"{FIRMWARE}/deep/x": "", "/boot/firmware2": "beside"}
    tree = mount_fat(tmp_path, root, {"/USER-DATA": "other"})
    assert tree.file(f"{FIRMWARE}/user-data").content_string == "other"
    assert [entry.path for entry in tree.below(FIRMWARE)] == [f"{FIRMWARE}/USER-DATA"]
    assert tree.file("/boot/firmware2").content_string == "beside"
    assert tree.mounts.hidden == (f"{FIRMWARE}/deep", f"{FIRMWARE}/deep/x", f"{FIRMWARE}/user-data")
    assert tree.mounts.missing == ()


def test_a_mount_point_is_where_links_lead_to(tmp_path: Path) -> None:
    root = {"/boot": "->/b", "/b/firmware/user-data": "good"}
    tree = mount_fat(tmp_path, root, {"/user-data": "other"})
    assert tree.file("/b/firmware/user-data").content == tree.file(f"{FIRMWARE}/user-data").content == b"other"
    assert tree.mounts.hidden == ("/b/firmware/user-data",)


@pytest.mark.parametrize("root", [{"/boot/x": ""}, {FIRMWARE: "a file"}, {FIRMWARE: "->/none"}])
def test_a_mount_point_that_is_no_directory_is_named(root: dict[str, str], tmp_path: Path) -> None:
    tree = mount_fat(tmp_path, root, {"/user-data": "other"})
    assert tree.mounts.missing == (FIRMWARE,)
    assert tree.file(f"{FIRMWARE}/user-data").content_string == "other"


def test_an_inner_filesystem_lies_in_the_one_that_is_mounted_before(tmp_path: Path) -> None:
    parts = [
        part("/srv/data", tmp_path / "data", {"/x": "data"}),
        part("/", tmp_path / "root", {"/srv/data/x": "root"}),
        part("/srv", tmp_path / "srv", {"/data/x": "srv"}),
    ]
    tree = join(parts)
    assert tree.file("/srv/data/x").content_string == "data"
    assert tree.mounts.hidden == ("/srv/data", "/srv/data/x", "/srv/data/x")


# Case


@pytest.fixture
def tree(tmp_path: Path) -> FileTree:
    fat = {"/EFI/Boot/BOOTX64.EFI": "e", "/cmdline.TXT": "c"}
    return mount_fat(tmp_path, {FIRMWARE: "", "/etc/a": "a", "/link": f"->{FIRMWARE}/efi/BOOT"}, fat)


@pytest.mark.parametrize(
    "path", [f"{FIRMWARE}/CMDLINE.txt", f"{FIRMWARE}/efi/../cmdline.txt", f"{FIRMWARE}/EFI/boot/../../Cmdline.txt"]
)
def test_a_name_in_a_fat_is_found_in_any_case(path: str, tree: FileTree) -> None:
    found = tree.find(path)
    assert found
    assert found.path == f"{FIRMWARE}/cmdline.TXT"


@pytest.mark.parametrize("path", ["/etc/A", "/BOOT/firmware/cmdline.TXT", "/boot/FIRMWARE/cmdline.TXT"])
def test_elsewhere_case_counts(path: str, tree: FileTree) -> None:
    assert tree.find(path) is None


def test_letters_outside_of_ascii_are_not_folded(tree: FileTree) -> None:
    assert tree.find(f"{FIRMWARE}/cmdline.TXT".replace("c", "\u212a")) is None
    assert tree.find("/lin\u212a/bootx64.efi") is None
    assert tree.find("/link/bootx64.efi")


def test_patterns_and_directories_know_no_case_in_a_fat(tree: FileTree) -> None:
    for pattern in ("/boot/firmware/efi/BOOT/boot*.efi", "/boot/*/efi/*/*", "/boot/firmware/EFI/Boot/BOOT*.EFI"):
        assert [entry.path for entry in tree.glob(pattern)] == [f"{FIRMWARE}/EFI/Boot/BOOTX64.EFI"], pattern
    assert tree.glob("/ETC/*") == []
    assert [entry.path for entry in tree.below(f"{FIRMWARE}/efi")] == [
        f"{FIRMWARE}/EFI/Boot",
        f"{FIRMWARE}/EFI/Boot/BOOTX64.EFI",
    ]


PASSWORD = "#cloud-config\npassword: x\n"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda fat: {**fat, "/VENDOR-DATA": PASSWORD}, f"{FIRMWARE}/VENDOR-DATA"),
        (lambda fat: {**fat, "/Meta-Data": "public-keys: [k]"}, f"{FIRMWARE}/Meta-Data"),
    ],
)
def test_a_way_in_is_one_in_any_case(
    change: Callable[[dict[str, str]], dict[str, str]], path: str, tmp_path: Path
) -> None:
    image = Image(mount_fat(tmp_path, FILES, change({"/os-release": ""})), slots=(ROOT_SLOT,))
    (row,) = Rights(image).find_unasked("access")
    assert row.startswith(f"{path} (")
