# SPDX-License-Identifier: MIT
"""The record beside finished trees."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import MachineError
from builder.rootfs.kept import RECORD, Kept, digest_trees, find_kept, load_kept, tree_name, write_kept
from builder.rootfs.model import Package, Rootfs
from builder.rootfs.origin import Origin

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
    origin = Origin({"hostname": "0a"}, {"bash": "5.2-1+b1 0b"})
    write_kept(room, rootfs, origin)
    assert find_kept(room) == Kept(rootfs, origin, digest_trees(room))
    assert load_kept(room, "rpi") == rootfs


def test_the_trees_may_be_written_aside_and_moved(tmp_path: Path) -> None:
    aside, room = tmp_path / "aside", tmp_path / "room"
    aside.mkdir()
    rootfs = Rootfs({"/": room / "root"}, PACKAGES)
    write_kept(aside, rootfs, None)
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


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"trees": {}, "packages": [], "origin": {"inputs": {}}}'])
def test_a_record_that_is_cut_short_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    assert find_kept(tmp_path) is None


def _cut(tree: Path) -> None:
    (tree / "etc/file").write_text("")


def _remove(tree: Path) -> None:
    (tree / "etc/link").unlink()


def _add(tree: Path) -> None:
    (tree / "etc/new").touch()


def _relink(tree: Path) -> None:
    (tree / "etc/link").unlink()
    (tree / "etc/link").symlink_to("other")


def _chmod(tree: Path) -> None:
    (tree / "etc/file").chmod(0o600)


def _rewrite(tree: Path) -> None:
    (tree / "etc/file").write_text("tent")


@pytest.mark.parametrize("change", [_cut, _remove, _add, _relink, _chmod, _rewrite])
def test_what_was_changed_since_is_seen(tmp_path: Path, change: Callable[[Path], None]) -> None:
    tree = tmp_path / "root"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/file").write_text("text")
    (tree / "etc/link").symlink_to("file")
    for path in (tree / "etc/file", tree / "etc/link"):
        os.utime(path, (1, 1), follow_symlinks=False)
    write_kept(tmp_path, Rootfs({"/": tree}, ()), None)
    kept = find_kept(tmp_path)
    assert kept
    assert digest_trees(tmp_path) == kept.digest
    change(tree)
    assert digest_trees(tmp_path) != kept.digest
