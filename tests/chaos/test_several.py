# SPDX-License-Identifier: MIT
"""Several boards by one call: real builds of tiny boards, side by side and in turn, that fail and are stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pexpect
import pytest

from tests.conftest import ROOT
from tests.support.chaos import ON_LOOP, Place, Running
from tests.support.wait import wait_until

pytestmark = pytest.mark.machine

FAILING = """\
#!/bin/sh
case "$*" in (*/rooms/other/*) echo no luck today >&2; exit 1;; esac
exec {real} "$@"
"""


@pytest.fixture
def boards(place: Place) -> tuple[str, ...]:
    """Three boards; their names after the first are given as options of `start`, where they may stand too."""
    place.add_board("other")
    place.add_board("third")
    return "other", "third"


def images(*boards: str) -> list[str]:
    return [f"boardwright-{board}-1.img" for board in boards]


def made(place: Place) -> list[str]:
    return [name for name in place.products() if name.endswith(".img")]


def list_boards(running: Running, kind: str = "") -> list[str]:
    """Return the board of each event, in order."""
    return [
        event["data"]["board"] for event in running.events if "board" in event["data"] and kind in ("", event["kind"])
    ]


def fail_other(place: Place) -> None:
    place.add_tool("sfdisk", FAILING.format(real="/usr/sbin/sfdisk"))


def plain(place: Place, *words: str | Path) -> list[str]:
    """Return the command line for people."""
    command = [word for word in place.command("tiny", *words, reuse=True) if word != "--json"]
    return [sys.executable, "-m", "builder", *command]


def environment(place: Place) -> dict[str, str]:
    return {**os.environ, "PATH": f"{place.path}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def test_all_are_built(place: Place, boards: tuple[str, ...]) -> None:
    running = place.build(*boards, "--jobs", "3")
    assert running.code == 0, running.output
    assert made(place) == images("other", "third", "tiny")
    assert sorted(list_boards(running, "result")) == ["other", "third", "tiny"]
    for event in running.events:
        if event["kind"] == "result":
            rows = event["data"]["artefacts"]
            assert f"boardwright-{event['data']['board']}-1.img" in [Path(row["path"]).name for row in rows]
    assert running.events[-1]["text"] == "all 3 boards are built"
    assert place.traces() == []


def test_one_after_the_other_in_the_order_given(place: Place, boards: tuple[str, ...]) -> None:
    running = place.build(*reversed(boards), "--jobs", "1")
    assert running.code == 0, running.output
    assert [board for board, _ in groupby(list_boards(running))] == ["tiny", "third", "other"]


def test_two_at_once_and_the_third_when_one_is_done(place: Place, boards: tuple[str, ...]) -> None:
    place.stop_in("mke2fs", when=ON_LOOP, then="go")
    running = place.start(*boards, "--jobs", "2")
    wait_until(lambda: len(list(place.state.glob("journals/*"))) == 2, "the second does not start")
    wait_until(place.reached.exists, "mke2fs does not start")
    assert not list(place.state.glob("journals/third-*"))
    (place.path / "go").touch()
    assert running.wait() == 0, running.output
    assert made(place) == images("other", "third", "tiny")


def test_all_there_are(place: Place, boards: tuple[str, ...]) -> None:
    words = [word for word in place.command("tiny", "--all", reuse=True) if word != "tiny"]
    done = subprocess.run(
        [sys.executable, "-m", "builder", *words], cwd=ROOT, env=environment(place), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert made(place) == images("other", "third", "tiny")


def test_a_name_that_comes_twice_is_built_once(place: Place, boards: tuple[str, ...]) -> None:
    running = place.build("tiny", "other", "other")
    assert sorted(list_boards(running, "result")) == ["other", "tiny"]


def test_one_that_fails_does_not_stop_the_others(place: Place, boards: tuple[str, ...]) -> None:
    fail_other(place)
    running = place.build(*boards)
    assert running.code == 7, running.output
    assert made(place) == images("third", "tiny")
    (error, end) = [event for event in running.events if event["kind"] == "error"]
    assert "no luck today" in error["text"]
    assert (error["data"]["board"], error["data"]["kind"], error["data"]["exit_code"]) == ("other", "tool", 7)
    assert end["text"] == "1 of 3 boards failed: other (tool)"
    assert end["data"] == {"kind": "tool", "hint": "see the errors above", "exit_code": 7}
    assert place.traces() == []


def test_the_first_that_failed_gives_the_exit_code(place: Place, boards: tuple[str, ...]) -> None:
    fail_other(place)
    (place.boards / "third/board.yaml").write_text("title: [\n")
    first, second = place.build(*boards), place.build(*reversed(boards))
    assert (first.code, second.code) == (7, 3), first.output
    assert first.events[-1]["text"] == "2 of 3 boards failed: other (tool), third (recipe)"
    assert made(place) == images("tiny")


def test_one_that_is_killed_is_an_error_of_that_board(place: Place, boards: tuple[str, ...]) -> None:
    place.stop_in("sfdisk", when='case "$*" in (*/rooms/other/*) true;; (*) false;; esac')
    running = place.start(*boards)
    wait_until(place.reached.exists, "sfdisk does not start")
    wait_until(lambda: made(place) == images("third", "tiny"), "the others are not built")
    wait_until(lambda: len(children(running.process.pid)) == 1, "the others have not ended")
    (child,) = children(running.process.pid)
    os.kill(child, signal.SIGKILL)
    assert running.wait() == 7, running.output
    assert "the build's process was killed by SIGKILL" in running.output
    place.doctor("--fix")
    assert place.traces() == []


def children(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_all_and_leaves_nothing(place: Place, boards: tuple[str, ...], number: signal.Signals) -> None:
    place.stop_in("mke2fs", when=ON_LOOP)
    running = place.start(*boards, "--jobs", "2")
    wait_until(place.reached.exists, "mke2fs does not start")
    running.process.send_signal(number)
    assert running.wait() == 130, running.output
    assert place.traces() == []
    assert made(place) == []
    assert sorted(list_boards(running, "error")) == ["other", "tiny"], "the third has not begun"
    assert running.events[-1]["data"]["kind"] == "interrupted"


def test_kill_9_leaves_no_process_and_the_doctor_does_the_rest(place: Place, boards: tuple[str, ...]) -> None:
    place.stop_in("mke2fs", when=ON_LOOP)
    running = place.start(*boards)
    wait_until(place.reached.exists, "mke2fs does not start")
    running.process.kill()
    assert running.wait() == -9
    wait_until(lambda: not place.processes(), "a process outlives the call")
    assert place.doctor("--fix")[1] == []
    assert place.traces() == []


def test_lines_for_people_name_the_board(place: Place, boards: tuple[str, ...]) -> None:
    fail_other(place)
    done = subprocess.run(
        plain(place, *boards), cwd=ROOT, env=environment(place), capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    assert [line.split()[0].rpartition("/")[2] for line in done.stdout.splitlines() if ".img  " in line] == [
        *images("tiny", "third")
    ]
    lines = done.stderr.splitlines()
    for words in ("tiny   ext4 root …", "third  ext4 root …", "other  error: sfdisk ended with exit code 1"):
        assert any(line.startswith(words) for line in lines), done.stderr
    assert "other    | no luck today" in lines
    assert lines[-2:] == ["error: 1 of 3 boards failed: other (tool)", "hint: see the errors above"]


def test_a_terminal_has_a_row_for_each(place: Place, boards: tuple[str, ...]) -> None:
    fail_other(place)
    (program, *words) = plain(place, *boards, "--jobs", "1")
    terminal = pexpect.spawn(
        program, words, cwd=str(ROOT), env=environment(place), encoding="utf-8", dimensions=(40, 120), timeout=60
    )
    terminal.expect(pexpect.EOF)
    screen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.before or "")
    terminal.close()
    assert terminal.exitstatus == 7, screen
    assert re.search(r"third +waiting", screen)
    last = screen[screen.rindex("✓ tiny") :]
    assert re.search(r"✓ tiny +\d+ s", last)
    assert re.search(r"✗ other +\d+ s", last)
    assert re.search(r"✓ third +\d+ s", last)
    assert screen.count("other  error: sfdisk ended with exit code 1") == 1
    assert "1 of 3 boards failed: other (tool)" in last


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["tiny", "nosuch"], 3, "board 'nosuch': not found"),
        (["tiny", "--all"], 2, "expected names of boards, or --all"),
        ([], 2, "expected names of boards, or --all"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_built(
    place: Place, words: Sequence[str], code: int, message: str
) -> None:
    command = [sys.executable, "-m", "builder", "build", *words, "--boards", str(place.boards)]
    done = subprocess.run(
        [*command, "--state", place.state, "--output", place.output],
        cwd=ROOT,
        env={**environment(place), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert message in done.stderr
    assert made(place) == []
