# SPDX-License-Identifier: MIT
"""Directories, mounts and loop devices given back, also twice, in use, or with others looking."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import BusyError, ToolError
from builder.system.process import run
from builder.system.workspace import (
    RELEASERS,
    find_leftovers,
    is_mounted,
    loop_devices,
    open_journal,
    release,
)
from tests.support.wait import wait_until


def test_a_directory_is_given_back_once_and_again(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    (path / "deep").mkdir(parents=True)
    (path / "link").symlink_to(tmp_path)
    for _ in range(2):
        RELEASERS["directory"](str(path))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A small filesystem, mounted at a name with a space."""
    target = tmp_path / "room" / "a mount"
    target.mkdir(parents=True)
    run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", target])
    (target / "precious").touch()
    yield target
    while is_mounted(str(target)):
        run(["umount", target])


@pytest.mark.machine
def test_a_mount_is_given_back_once_and_again(mounted: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(mounted.parent)
    assert is_mounted(str(mounted))
    assert not is_mounted(str(mounted.parent))
    for _ in range(2):
        RELEASERS["mount"](str(tmp_path / "link" / mounted.name))
    assert not is_mounted(str(mounted))


@pytest.mark.machine
def test_a_mount_in_use_is_an_error(mounted: Path) -> None:
    with (mounted / "precious").open(), pytest.raises(ToolError, match="busy"):
        RELEASERS["mount"](str(mounted))
    assert is_mounted(str(mounted))


@pytest.mark.machine
def test_a_directory_with_a_mount_in_it_is_not_emptied(mounted: Path) -> None:
    with pytest.raises(BusyError, match="a mount is still mounted"):
        RELEASERS["directory"](str(mounted.parent))
    assert (mounted / "precious").exists()


@pytest.mark.machine
def test_a_mount_that_will_not_go_saves_the_directory_around_it(mounted: Path, tmp_path: Path) -> None:
    with (
        (mounted / "precious").open(),
        pytest.raises(KeyError) as caught,
        open_journal(tmp_path, "x", RELEASERS) as journal,
        journal.holding("directory", mounted.parent),
        journal.holding("mount", mounted),
    ):
        raise KeyError("x")
    assert len(caught.value.__notes__) == 2
    assert (mounted / "precious").exists()
    (left,) = find_leftovers(tmp_path)
    assert [held.kind for held in left.held] == ["mount", "directory"]
    release(left, RELEASERS)
    assert not mounted.parent.exists()


@pytest.fixture
def attached(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A file and the loop device on it."""
    backing = tmp_path / "card.img"
    backing.touch()
    os.truncate(backing, 1024 * 1024)
    device = run(["losetup", "--find", "--show", backing]).stdout.strip()
    yield backing, device
    if loop_devices(str(backing)):
        run(["losetup", "--detach", device])


@pytest.mark.machine
def test_a_loop_device_is_given_back_once_and_again(attached: tuple[Path, str], tmp_path: Path) -> None:
    backing, device = attached
    (tmp_path / "link.img").symlink_to(backing)
    second = run(["losetup", "--find", "--show", "--offset=4096", backing]).stdout.strip()
    assert loop_devices(str(tmp_path / "link.img")) == sorted([device, second])
    assert loop_devices(str(tmp_path / "other.img")) == []
    for _ in range(2):
        RELEASERS["loop"](str(backing))
        wait_until(lambda: not loop_devices(str(backing)), "still attached")


@pytest.mark.machine
def test_a_loop_device_of_a_deleted_file_is_found(attached: tuple[Path, str]) -> None:
    backing, device = attached
    backing.unlink()
    assert loop_devices(str(backing)) == [device]


@pytest.mark.machine
def test_a_loop_device_that_goes_while_others_look_is_no_harm(
    attached: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(self: Path, encoding: str) -> str:
        raise FileNotFoundError(self)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", vanish)
        assert loop_devices(str(attached[0])) == []


@pytest.mark.machine
def test_a_loop_device_of_a_mount_that_is_gone_is_found_by_its_inode(tmp_path: Path) -> None:
    room, other = tmp_path / "room", tmp_path / "other"
    for directory in (room, other, tmp_path / "mnt"):
        directory.mkdir()
    for directory in (room, other):
        (directory / "card.img").write_bytes(bytes(1024 * 1024))
    script = f"mount --bind {room} {tmp_path}/mnt && losetup --find --show {tmp_path}/mnt/card.img"
    device = run(["unshare", "--mount", "sh", "-c", script]).stdout.strip()
    try:
        shown = Path(f"/sys/block/{Path(device).name}/loop/backing_file").read_text().strip()
        assert shown == "/card.img", "the kernel shows the path below the mount that is gone"
        assert loop_devices(str(other / "card.img")) == [], "another file of that name"
        assert loop_devices(str(room / "card.img")) == [device]
    finally:
        RELEASERS["loop"](str(room / "card.img"))
    wait_until(lambda: not loop_devices(str(room / "card.img")), "still attached")
