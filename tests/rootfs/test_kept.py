# SPDX-License-Identifier: MIT
"""The record beside finished trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import MachineError
from builder.rootfs.kept import find_kept, load_kept, tree_name, write_kept
from builder.rootfs.model import Package, Rootfs

PACKAGES = (Package("bash", "5.2-1+b1", "amd64", 7000), Package("tiny", "1:0~rc1", "all", 0))


@pytest.mark.parametrize(
    ("mount", "name"), [("/", "root"), ("/boot/firmware", "boot-firmware"), ("/boot/efi", "boot-efi"), ("/srv", "srv")]
)
def test_names(mount: str, name: str) -> None:
    assert tree_name(mount) == name


def test_what_is_written_is_found(tmp_path: Path) -> None:
    room = tmp_path / "rootfs"
    room.mkdir()
    rootfs = Rootfs({"/": room / "root", "/boot/firmware": room / "boot-firmware"}, PACKAGES)
    write_kept(room, "key", rootfs)
    assert find_kept(room) == ("key", rootfs)
    assert load_kept(room, "rpi") == rootfs


def test_the_trees_may_be_written_aside_and_moved(tmp_path: Path) -> None:
    aside, room = tmp_path / "aside", tmp_path / "room"
    aside.mkdir()
    rootfs = Rootfs({"/": room / "root"}, PACKAGES)
    write_kept(aside, "key", rootfs)
    aside.rename(room)
    assert load_kept(room, "rpi") == rootfs


@pytest.mark.parametrize("there", [True, False])
def test_no_finished_rootfs(tmp_path: Path, there: bool) -> None:
    room = tmp_path / "rootfs"
    if there:
        (room / "root").mkdir(parents=True)
    assert find_kept(room) is None
    with pytest.raises(MachineError, match="board rpi has no finished rootfs") as caught:
        load_kept(room, "rpi")
    assert "boardwright build rpi" in caught.value.hint
