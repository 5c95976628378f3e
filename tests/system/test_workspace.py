# SPDX-License-Identifier: MIT
"""The state directory: rooms, builds that wait for each other, builds that are killed, owners."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.errors import BusyError, MachineError
from builder.system.workspace import (
    RELEASERS,
    find_leftovers,
    open_journal,
    open_workspace,
)
from tests.conftest import ROOT
from tests.support.journals import journals
from tests.support.wait import wait_until


def test_a_room_has_an_empty_scratch_and_keeps_the_rest(tmp_path: Path) -> None:
    with open_workspace(tmp_path, "x") as space:
        assert list(space.scratch.iterdir()) == []
        (space.scratch / "big").touch()
        space.rootfs.mkdir()
        space.log_file.touch()
    assert sorted(path.name for path in space.room.iterdir()) == ["build.log", "rootfs"]
    assert space.room == tmp_path / "rooms" / "x"


def test_an_error_leaves_no_scratch(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), open_workspace(tmp_path, "x") as space:
        (space.scratch / "big").touch()
        raise KeyboardInterrupt
    assert list((tmp_path / "rooms" / "x").iterdir()) == []
    assert journals(tmp_path) == []


def test_the_same_board_is_busy(tmp_path: Path) -> None:
    with (
        open_workspace(tmp_path, "x"),
        pytest.raises(BusyError, match=f"board x is being built by process {os.getpid()}"),
        open_workspace(tmp_path, "x", wait=False),
    ):
        pass
    with open_workspace(tmp_path, "x", wait=False):
        pass


def test_the_same_board_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def second() -> None:
        with open_workspace(tmp_path, "x"):
            order.append("second in")

    thread = threading.Thread(target=second)
    with open_workspace(tmp_path, "x"):
        thread.start()
        wait_until(lambda: "; waiting for its end" in capsys.readouterr().err, "the second does not say that it waits")
        order.append("first out")
    thread.join(10)
    assert order == ["first out", "second in"]


def test_two_boards_do_not_disturb_each_other(tmp_path: Path) -> None:
    with open_workspace(tmp_path, "x") as first, open_workspace(tmp_path, "y", wait=False) as second:
        (first.scratch / "file").touch()
        assert list(second.scratch.iterdir()) == []
    assert journals(tmp_path) == []


VICTIM = """
import sys, time
from pathlib import Path
from builder.system.workspace import open_workspace
with open_workspace(Path(sys.argv[1]), "x") as space:
    with space.journal.holding("directory", sys.argv[2]):
        Path(sys.argv[2]).mkdir()
        print("ready", flush=True)
        time.sleep(60)
"""


def test_what_a_killed_build_left_is_found_and_given_back(tmp_path: Path) -> None:
    held = tmp_path / "scratch-0123abcd"
    argv = [sys.executable, "-c", VICTIM, str(tmp_path), str(held)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        assert find_leftovers(tmp_path) == []
        process.send_signal(signal.SIGKILL)
    (left,) = find_leftovers(tmp_path)
    assert [each.name for each in left.held] == [
        str(held),
        str(tmp_path / "rooms" / "x" / f"scratch-{left.journal.stem[-8:]}"),
    ]
    with open_workspace(tmp_path, "x", wait=False):
        assert not held.exists()
    assert journals(tmp_path) == []


CROWD = """
import os, sys
from pathlib import Path
from builder.system.workspace import open_workspace
for _ in range(15):
    with open_workspace(Path(sys.argv[1]), sys.argv[2]) as space:
        (space.scratch / "file").touch(exist_ok=False)
        assert space.journal.path.exists()
"""


def test_a_crowd_of_builds_loses_no_journal(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CROWD, str(tmp_path)]
    crowd = [subprocess.Popen([*argv, name], cwd=ROOT, stderr=subprocess.PIPE) for name in "xxyyz"]
    errors = [process.communicate(timeout=60)[1].decode() for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 5, "\n".join(errors)
    assert journals(tmp_path) == []


def open_to_all(directory: Path) -> None:
    """Let other users reach a directory of pytest's."""
    for each in (directory, *directory.parents):
        if not each.stat().st_mode & 0o001 or each == directory:
            each.chmod(0o755)


@pytest.mark.machine
@pytest.mark.parametrize("part", ["", "journals", "cache"])
def test_what_root_has_made_is_said_to_another_user(tmp_path: Path, part: str) -> None:
    state = tmp_path / "work"
    (state / part).mkdir(parents=True)
    open_to_all(tmp_path)
    if part:
        os.chown(state, 65534, 65534)
    os.seteuid(65534)
    try:
        message = f"{state / part} may not be written to: it belongs to root"
        with pytest.raises(MachineError, match=message) as caught, open_journal(state, "x", RELEASERS):
            pass
        assert f"sudo chown -R 65534 {state}" in caught.value.hint
    finally:
        os.seteuid(0)


@pytest.mark.machine
def test_an_owner_without_a_name_is_said_too(tmp_path: Path) -> None:
    state = tmp_path / "work"
    state.mkdir()
    os.chown(state, 54321, 54321)
    open_to_all(tmp_path)
    os.seteuid(65534)
    try:
        message = r"it belongs to another user|may not be written to"
        with pytest.raises(MachineError, match=message), open_journal(state, "x", RELEASERS):
            pass
    finally:
        os.seteuid(0)
