# SPDX-License-Identifier: MIT
"""The work directory and its journal: what is held is given back, also after a kill -9."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from builder.errors import BusyError, MachineError, ToolError
from builder.system.process import run
from builder.system.workspace import (
    RELEASERS,
    HeldResource,
    Journal,
    Leftovers,
    Releaser,
    ResourceKind,
    find_leftovers,
    is_mounted,
    loop_devices,
    open_journal,
    open_workspace,
    release,
)
from tests.support.wait import wait_until

ROOT = Path(__file__).parents[2]


class Recorder:
    """Releasers that note what they are given, and fail for what is called broken."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def __call__(self, name: str) -> None:
        if name == "broken":
            raise ToolError("it will not go")
        self.given.append(name)

    @property
    def releasers(self) -> Mapping[ResourceKind, Releaser]:
        return {"loop": self, "mount": self, "directory": self, "container": self}


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def journal(tmp_path: Path, recorder: Recorder) -> Iterator[Journal]:
    with open_journal(tmp_path, "x", recorder.releasers) as opened:
        yield opened


def events(journal: Journal) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    return [(line["event"], line["name"]) for line in lines]


def journals(state: Path) -> list[Path]:
    return list((state / "journals").iterdir())


def test_a_thing_is_in_the_journal_before_it_is_taken(journal: Journal, recorder: Recorder) -> None:
    with journal.holding("mount", "/a"):
        assert events(journal) == [("hold", "/a")]
        assert not journal.is_clear
        assert recorder.given == []
    assert events(journal) == [("hold", "/a"), ("free", "/a")]
    assert journal.is_clear


def test_things_are_given_back_in_reverse(journal: Journal, recorder: Recorder) -> None:
    with pytest.raises(KeyError), journal.holding("loop", "a"), journal.holding("mount", "b"):
        raise KeyError("x")
    assert recorder.given == ["b", "a"]
    assert journal.is_clear


def test_one_thing_may_be_held_twice(journal: Journal, recorder: Recorder) -> None:
    with journal.holding("mount", "a"), journal.holding("mount", "a"):
        pass
    assert recorder.given == ["a", "a"]
    assert journal.is_clear


def test_what_cannot_be_given_back_stays_in_the_journal(tmp_path: Path, recorder: Recorder) -> None:
    with (
        pytest.raises(ToolError, match="will not go"),
        open_journal(tmp_path, "x", recorder.releasers) as journal,
        journal.holding("directory", "outer"),
        journal.holding("mount", "broken"),
    ):
        pass
    assert recorder.given == ["outer"]
    assert not journal.is_clear
    (left,) = find_leftovers(tmp_path)
    assert left == Leftovers(journal.path, (HeldResource("mount", "broken"),))


def test_a_failing_release_does_not_hide_the_error_in_flight(journal: Journal) -> None:
    with pytest.raises(KeyError) as caught, journal.holding("mount", "broken"):
        raise KeyError("the reason")
    assert "the mount broken could not be released: it will not go" in caught.value.__notes__
    assert not journal.is_clear


def test_a_clear_journal_goes_away(tmp_path: Path, recorder: Recorder) -> None:
    with open_journal(tmp_path, "x", recorder.releasers):
        assert len(journals(tmp_path)) == 1
    assert journals(tmp_path) == []


def test_who_lives_is_not_listed(tmp_path: Path, journal: Journal) -> None:
    with journal.holding("mount", "a"):
        assert find_leftovers(tmp_path) == []


def test_no_state_has_no_leftovers(tmp_path: Path) -> None:
    assert find_leftovers(tmp_path / "none") == []


def test_a_journal_that_goes_while_others_look_is_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([tmp_path / "gone.jsonl"]))
    assert find_leftovers(tmp_path) == []


def write_journal(state: Path, text: str) -> Path:
    path = state / "journals" / "x-1-00.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def line(event: str, name: str, kind: str = "mount") -> str:
    return json.dumps({"event": event, "kind": kind, "name": name}) + "\n"


@pytest.mark.parametrize("cut", range(1, len(line("hold", "c"))))
def test_a_half_written_line_is_passed_over(tmp_path: Path, cut: int) -> None:
    text = line("hold", "a") + line("hold", "b") + line("free", "b")
    write_journal(tmp_path, text + line("hold", "c")[:-cut])
    (left,) = find_leftovers(tmp_path)
    # Without its last line break only, the line is whole.
    assert [held.name for held in left.held] == (["c", "a"] if cut == 1 else ["a"])


def test_leftovers_are_released_newest_first(tmp_path: Path, recorder: Recorder) -> None:
    write_journal(tmp_path, line("hold", "a") + line("hold", "b") + line("hold", "c") + line("free", "b"))
    (left,) = find_leftovers(tmp_path)
    release(left, recorder.releasers)
    assert recorder.given == ["c", "a"]
    assert journals(tmp_path) == []
    release(left, recorder.releasers)
    assert recorder.given == ["c", "a"], "the second time there is nothing to do"


def test_a_leftover_that_will_not_go_keeps_its_journal(tmp_path: Path, recorder: Recorder) -> None:
    path = write_journal(tmp_path, line("hold", "a") + line("hold", "broken") + line("hold", "c"))
    (left,) = find_leftovers(tmp_path)
    with pytest.raises(ToolError):
        release(left, recorder.releasers)
    assert recorder.given == ["c"], "what is below the broken one is not touched"
    assert path.exists()


def test_two_that_release_take_turns(tmp_path: Path) -> None:
    write_journal(tmp_path, line("hold", "a"))
    (left,) = find_leftovers(tmp_path)
    inside: list[str] = []

    def slow(name: str) -> None:
        inside.append("in")
        assert inside.count("in") - inside.count("out") == 1
        time.sleep(0.1)
        inside.append("out")

    threads = [threading.Thread(target=release, args=(left, {"mount": slow})) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside in (["in", "out"] * count for count in (1, 2, 3))


def test_the_next_build_gives_back_what_the_last_one_left(
    tmp_path: Path, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    write_journal(tmp_path, line("hold", "a"))
    with open_workspace(tmp_path, "x", releasers=recorder.releasers):
        assert recorder.given == ["a"]
    assert "resources of an interrupted build (1)" in capsys.readouterr().err


def test_what_only_others_can_give_back_is_left_to_them(tmp_path: Path) -> None:
    path = write_journal(tmp_path, line("hold", "box", "container"))
    with open_workspace(tmp_path, "x"):
        assert path.exists()


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
    told = [process.communicate(timeout=60)[1].decode() for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 5, "\n".join(told)
    assert journals(tmp_path) == []


def test_a_new_journal_that_was_taken_for_a_leftover_is_made_again(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    cleaned: list[Path] = []

    def lock_late(stream: object, operation: int) -> None:
        if not cleaned:
            cleaned.extend(journals(tmp_path))
            cleaned[0].unlink()
        lock(stream, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with open_journal(tmp_path, "x", recorder.releasers) as journal:
        assert journals(tmp_path) == [journal.path] != cleaned
    assert journals(tmp_path) == []


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
