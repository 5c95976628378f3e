# SPDX-License-Identifier: MIT
"""What becomes of an image when the disk is full, a tool fails, or the builder is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.choices import Assembler
from builder.errors import BusyError, RecipeError, SpaceError, ToolError
from builder.image import loop
from builder.image.assemble import make_image
from builder.rootfs.model import Rootfs
from builder.system.process import run
from builder.system.workspace import RELEASERS, Workspace, find_leftovers, loop_devices, open_workspace, release
from builder.units import MIB, SECTOR

from .conftest import make_disk, make_plan, make_slot

pytestmark = pytest.mark.machine
REPOSITORY = Path(__file__).parents[2]


def attached_below(directory: Path) -> list[str]:
    """Return the backing files of loop devices that lie below a directory."""
    files = (path.read_text().strip() for path in Path("/sys/block").glob("loop*/loop/backing_file"))
    return [name for name in files if name.startswith(str(directory))]


@pytest.mark.parametrize("which", [1, 2])
def test_a_slot_too_small_for_its_content_is_named(which: int, small: Rootfs, workspace: Workspace) -> None:
    slots = (make_slot(1), make_slot(2, sectors=40 * 2048))
    grown = slots[which - 1]
    (small.trees[grown.mount] / "big").write_bytes(os.urandom(40 * MIB - 9999))
    with pytest.raises(SpaceError) as caught:
        make_image(make_plan(make_disk(slots=slots)), small, workspace, assembler=Assembler.OFFLINE)
    message, hint = caught.value.message, caught.value.hint
    assert f"slot {which} ({grown.name}) has 40 MiB; its content needs " in message
    assert f"`size` of {grown.name} in table.partitions to " in hint

    asked = int(hint.partition(" to ")[2].partition("MiB")[0])
    enough = [replace(slot, sectors=asked * 2048) if slot is grown else slot for slot in slots]
    enough[1] = replace(enough[1], start_sector=2048 + (enough[0].sectors or 0))
    make_image(make_plan(make_disk(slots=tuple(enough))), small, workspace, assembler=Assembler.OFFLINE)


def test_an_ext4_without_room_for_inodes_is_refused(small: Rootfs, workspace: Workspace) -> None:
    many = small.trees["/"] / "many"
    many.mkdir()
    for number in range(1500):
        (many / str(number)).touch()
    with pytest.raises(SpaceError, match="slot 2"):
        make_image(
            make_plan(make_disk(slots=(make_slot(1), make_slot(2, sectors=10 * 2048)))),
            small,
            workspace,
            assembler=Assembler.OFFLINE,
        )


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MiB."""
    target = tmp_path / "cramped"
    target.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", target])
    try:
        yield target
    finally:
        run(["umount", target])


@pytest.mark.parametrize("assembler", ["loop", "offline"])
@pytest.mark.parametrize("mount", ["/", "/boot/firmware"])
def test_a_full_disk_is_called_by_its_name(assembler: Assembler, mount: str, small: Rootfs, cramped: Path) -> None:
    (small.trees[mount] / "big").write_bytes(os.urandom(20 * MIB))
    with pytest.raises(SpaceError, match=r"No space left on device|is full") as caught:  # noqa: SIM117
        with open_workspace(cramped, "test") as workspace:
            make_image(make_plan(make_disk()), small, workspace, assembler=assembler)
    assert "BOARDWRIGHT_WORK" in caught.value.hint
    assert attached_below(cramped) == []
    assert find_leftovers(cramped) == []


@pytest.mark.parametrize("assembler", ["loop", "offline"])
@pytest.mark.parametrize("tool", ["mke2fs", "mformat", "mcopy", "debugfs", "sfdisk", "fsck.vfat"])
def test_a_failing_tool_leaves_nothing(
    assembler: Assembler, tool: str, small: Rootfs, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / tool
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho it hurts >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(Exception, match="it hurts"):  # noqa: SIM117 - the workspace is what is looked at
        with open_workspace(state, "test") as workspace:
            make_image(make_plan(make_disk()), small, workspace, assembler=assembler)
    assert attached_below(state) == []
    assert find_leftovers(state) == []
    assert not list((state / "rooms/test").glob("scratch*"))


def test_what_debugfs_did_not_do_is_found(
    small: Rootfs, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin/debugfs"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(ToolError, match=r"debugfs did not execute 'set_super_value kbytes_written 0' and \d+ more"):
        make_image(make_plan(make_disk()), small, workspace, assembler=Assembler.OFFLINE)


def test_a_fat_refuses_links_pipes_and_names_all_at_once(small: Rootfs, workspace: Workspace) -> None:
    boot = small.trees["/boot/firmware"]
    (boot / "link").symlink_to("config.txt")
    os.mkfifo(boot / "overlays/pipe")
    (boot / "CONFIG.TXT").touch()
    with pytest.raises(RecipeError) as caught:
        make_image(make_plan(make_disk()), small, workspace, assembler=Assembler.OFFLINE)
    assert "/link is a symbolic link" in caught.value.message
    assert "/overlays/pipe is a device, socket or pipe" in caught.value.message
    assert "/config.txt and /CONFIG.TXT are the same name on a FAT" in caught.value.message
    for number in range(20):
        (boot / f"bad{number}.").touch()
    with pytest.raises(RecipeError, match="and 13 more"):
        make_image(make_plan(make_disk()), small, workspace, assembler=Assembler.OFFLINE)


def test_a_loop_device_that_others_take_is_asked_for_again(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, other = tmp_path / "image", tmp_path / "other"
    for path in (image, other):
        path.write_bytes(bytes(64 * MIB))
    slot = make_slot(1)
    try:
        taken = Path(run(["losetup", "--find", "--show", other]).stdout.strip())
        answers = [taken, taken]
        free = loop._free_device
        monkeypatch.setattr(loop, "_free_device", lambda: answers.pop() if answers else free())
        with loop.open_slot(workspace, image, slot) as target:
            assert loop_devices(str(image)) == [str(target.path)]
            assert int(run(["blockdev", "--getsz", target.path]).stdout) == slot.sectors
        assert answers == []
        monkeypatch.setattr(loop, "_free_device", lambda: taken)
        with pytest.raises(BusyError, match="16 free ones"), loop.open_slot(workspace, image, slot):
            pass
    finally:
        RELEASERS["loop"](str(other))
    assert loop_devices(str(image)) == []


def test_losetup_that_cannot_attach_is_quoted(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="No such file or directory") as caught:  # noqa: SIM117
        with loop.open_slot(workspace, tmp_path / "missing", make_slot(1)):
            pass
    assert "--assembler offline" in caught.value.hint


CHILD = """
import os, signal, sys
sys.path.insert(0, {repository!r})
from pathlib import Path
from builder.choices import Assembler
from builder.system.workspace import Journal
from builder.image.assemble import make_image
from tests.image.conftest import *
written = Journal._write
left = int(sys.argv[3])
def write(self, event, held):
    global left
    written(self, event, held)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
Journal._write = write
with open_workspace(Path(sys.argv[1]), "test") as workspace:
    make_image(make_plan(make_disk()), make_rootfs(Path(sys.argv[2])), workspace, assembler=Assembler.LOOP)
"""


def run_child(state: Path, rootfs: Rootfs, kill_after: int, **environment: str) -> int:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            CHILD.format(repository=str(REPOSITORY)),
            state,
            rootfs.trees["/"].parent,
            str(kill_after),
        ],
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )
    return done.returncode


def replay(state: Path) -> None:
    for leftovers in find_leftovers(state):
        release(leftovers, RELEASERS)
    assert find_leftovers(state) == []
    assert attached_below(state) == []
    assert not list((state / "rooms/test").glob("scratch*"))


def test_a_kill_after_any_journal_write_can_be_repaired(small: Rootfs, state: Path) -> None:
    """The writes are: hold scratch, hold and free a loop device for each of two slots, free scratch."""
    for number in range(1, 20):
        code = run_child(state, small, number)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert (state / "journals").exists()
        replay(state)
    assert number == 7
    replay(state)


@pytest.mark.parametrize("tool", ["mformat", "mcopy", "mke2fs", "debugfs"])
def test_a_kill_while_a_tool_writes_can_be_repaired(tool: str, small: Rootfs, state: Path, tmp_path: Path) -> None:
    fake = tmp_path / "bin" / tool
    fake.parent.mkdir()
    # mke2fs is also asked about an empty filesystem, where nothing is attached yet.
    fake.write_text(f'#!/bin/sh\ncase "$*" in *loop*) kill -9 $PPID; sleep 9;; esac\nexec /sbin/{tool} "$@"\n')
    fake.chmod(0o755)
    code = run_child(state, small, 0, PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert code == -signal.SIGKILL
    assert attached_below(state), "killed at the wrong moment: nothing was attached"
    assert find_leftovers(state)
    replay(state)


BARE_DEV = """
set -e
mount -t tmpfs -o mode=755 none /dev
mknod /dev/null c 1 3
mknod /dev/urandom c 1 9
mknod /dev/loop-control c $(cat /sys/class/misc/loop-control/dev | tr : ' ')
exec "$@"
"""


def test_missing_nodes_of_loop_devices_are_made(small: Rootfs, state: Path) -> None:
    """As in a container: /dev has loop-control and no loop device."""
    child: list[str | Path] = [
        sys.executable,
        "-c",
        CHILD.format(repository=str(REPOSITORY)),
        state,
        small.trees["/"].parent,
        "0",
    ]
    done = run(["unshare", "--mount", "sh", "-c", BARE_DEV, "sh", *child])
    assert done.code == 0
    assert attached_below(state) == []


def test_blocks_beyond_the_slot_stay(small: Rootfs, workspace: Workspace, tmp_path: Path) -> None:
    """A filesystem tool that writes too far would be stopped by the device's length."""
    image = tmp_path / "image"
    image.write_bytes(b"\xaa" * 64 * MIB)
    with loop.open_slot(workspace, image, make_slot(1)) as target:
        assert target.size_bytes == 40 * 2048 * SECTOR
        run(["dd", "if=/dev/zero", f"of={target.path}", "bs=1M"], ok=(1,))
    data = image.read_bytes()
    assert data[: 2048 * SECTOR] == b"\xaa" * 2048 * SECTOR
    assert data[41 * MIB :] == b"\xaa" * 23 * MIB
    assert not any(data[MIB : 41 * MIB])
