# SPDX-License-Identifier: MIT
"""The record beside finished trees."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from builder.errors import MachineError
from builder.rootfs.inputs import Inputs
from builder.rootfs.model import InstalledPackage
from builder.rootfs.stored_tree import (
    RECORD,
    StoredTree,
    digest_trees,
    find_intact,
    find_stored_tree,
    load_room,
    tree_name,
    write_stored_tree,
)
from builder.system.paths import remove_tree

PACKAGES = (InstalledPackage("bash", "5.2-1+b1", "amd64", 7000), InstalledPackage("tiny", "1:0~rc1", "all", 0))


def write(
    directory: Path, *, below: Sequence[StoredTree] = (), origins: Mapping[str, Inputs] | None = None
) -> StoredTree:
    """Write a record and return what it says."""
    directory.mkdir(exist_ok=True)
    write_stored_tree(
        directory, is_whole=not below, below=below, packages=PACKAGES, origins=origins or {}, mounts=["/boot/firmware"]
    )
    kept = find_stored_tree(directory)
    assert kept
    return kept


@pytest.mark.parametrize(
    ("mount", "name"), [("/", "tree"), ("/boot/firmware", "boot-firmware"), ("/boot/efi", "boot-efi"), ("/srv", "srv")]
)
def test_names(mount: str, name: str) -> None:
    assert tree_name(mount) == name


def test_what_is_written_is_found(tmp_path: Path) -> None:
    origins = {"system": Inputs({"hostname": "0a"}, {"bash": f"5.2-1+b1 {'0b' * 32}"})}
    layer = write(tmp_path / "layer")
    kept = write(tmp_path / "rootfs", below=[layer], origins=origins)
    digest = digest_trees(tmp_path / "rootfs")
    assert kept == StoredTree(tmp_path / "rootfs", False, ("layer",), ("/boot/firmware",), PACKAGES, origins, digest)
    assert load_room(tmp_path / "rootfs", tmp_path, "rpi") == kept


def test_the_trees_may_be_written_aside_and_moved(tmp_path: Path) -> None:
    write(tmp_path / "aside")
    (tmp_path / "aside").rename(tmp_path / "room")
    assert find_intact(tmp_path / "room")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_a_record_that_is_no_file_is_none(make: Callable[[Path], object], tmp_path: Path) -> None:
    """A repository may bring a state directory with it, and `plan` reads it."""
    make(tmp_path / RECORD)
    assert find_stored_tree(tmp_path) is None


def test_a_tree_may_be_of_any_depth(tmp_path: Path) -> None:
    deepest = tmp_path / "x"
    deepest.mkdir()
    for _ in range(1500):
        deepest = deepest / "d"
        deepest.mkdir()
    (deepest / "file").write_text("1")
    before = digest_trees(tmp_path)
    (deepest / "file").write_text("2")
    assert digest_trees(tmp_path) != before
    remove_tree(tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("there", ["nothing", "half of it", "all but a layer"])
def test_no_finished_rootfs(tmp_path: Path, there: str) -> None:
    room = tmp_path / "rootfs"
    if there == "half of it":
        (room / "tree").mkdir(parents=True)
    if there == "all but a layer":
        write(room, below=[write(tmp_path / "layer")])
        (tmp_path / "layer" / RECORD).unlink()
    with pytest.raises(MachineError, match="board rpi has no finished rootfs") as caught:
        load_room(room, tmp_path, "rpi")
    assert "boardwright build rpi" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"is_whole": 1, "below": [], "mounts": [], "packages": [1]}'])
def test_a_record_that_is_cut_short_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    assert find_stored_tree(tmp_path) is None
    assert find_intact(tmp_path) is None


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


def _flip(tree: Path) -> None:
    """Neither its size nor its time: what a failing disk does."""
    (tree / "etc/file").write_text("tesT")
    os.utime(tree / "etc/file", (1, 1))


def _allow(tree: Path) -> None:
    os.setxattr(tree / "etc/file", "user.allowed", b"1")


@pytest.mark.parametrize("change", [_cut, _remove, _add, _relink, _chmod, _rewrite, _flip, _allow])
def test_what_was_changed_since_is_never_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None]
) -> None:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/file").write_text("text")
    (tree / "etc/link").symlink_to("file")
    for path in (tree / "etc/file", tree / "etc/link"):
        os.utime(path, (1, 1), follow_symlinks=False)
    write(tmp_path)
    assert find_intact(tmp_path)
    change(tree)
    assert find_intact(tmp_path) is None
    assert "is damaged or was changed" in capsys.readouterr().err


def test_use_is_seen_in_the_times_of_access(tmp_path: Path) -> None:
    file = tmp_path / "tree/file"
    file.parent.mkdir()
    file.touch()
    os.utime(file, (1, 2))
    write(tmp_path)
    begun = time.time()
    assert find_intact(tmp_path)
    assert (file.stat().st_mtime, file.stat().st_atime >= begun - 1) == (2, True)
