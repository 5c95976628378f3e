# SPDX-License-Identifier: MIT
"""The log of a run, on every sink."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder import log
from builder.log import Event, Json, Plain
from tests.support.log import Heard

ROOT = Path(__file__).parent.parent


def tell() -> None:
    """A log with every kind of event."""
    with log.step("rootfs"):
        log.note("242 packages")
        with log.step("bootstrap"):
            log.line("Get:1 http://…")
            log.progress("unpacking", 0.5)
        log.warn("no [cache]")
    try:
        with log.step("image"):
            raise KeyError("x")
    except KeyError:
        pass


def plain(*, verbose: bool) -> list[str]:
    stream = io.StringIO()
    with log.use(Plain(stream, verbose=verbose)):
        tell()
    return re.sub(r"[0-9]+\.[0-9] s", "N s", stream.getvalue()).splitlines()


def test_plain_lines_are_indented_by_step() -> None:
    assert plain(verbose=False) == [
        "rootfs …",
        "  242 packages",
        "  bootstrap …",
        "  bootstrap: done in N s",
        "  warning: no [cache]",
        "rootfs: done in N s",
        "image …",
        "image: failed after N s",
    ]


def test_verbose_shows_the_lines_of_tools() -> None:
    assert "    | Get:1 http://…" in plain(verbose=True)


def test_an_end_without_a_start_is_no_harm() -> None:
    stream = io.StringIO()
    Plain(stream).show(Event("end", "x", {"seconds": 1}))
    assert stream.getvalue() == "x: done in 1.0 s\n"


def test_json_comes_back_as_the_same_events() -> None:
    sink = Heard()
    with log.use(sink):
        tell()
    seen = sink.events
    stream = io.StringIO()
    for event in seen:
        Json(stream).show(event)
    lines = stream.getvalue().splitlines()
    assert [Event(**json.loads(line)) for line in lines] == seen
    assert [event.kind for event in seen] == [
        "start", "note", "start", "line", "progress", "end", "warn", "end", "start", "fail",
    ]  # fmt: skip
    assert "…" in lines[3], "text stays readable"


def test_a_line_break_does_not_break_json_lines() -> None:
    stream = io.StringIO()
    Json(stream).show(Event("note", "a\nb\u2028"))
    assert stream.getvalue().count("\n") == 1


def test_without_a_sink_the_story_is_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    log.note("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_a_sink_is_in_use_only_inside() -> None:
    outer, inner = io.StringIO(), io.StringIO()
    with log.use(Plain(outer)):
        with contextlib.suppress(ZeroDivisionError), log.use(Plain(inner)):
            log.note("in")
            _ = 1 // 0
        log.note("out")
    assert (outer.getvalue(), inner.getvalue()) == ("out\n", "in\n")


def test_lines_of_several_threads_stay_whole() -> None:
    stream = io.StringIO()
    sink = Plain(stream)

    def talk(word: str) -> None:
        for _ in range(2000):
            sink.show(Event("note", word * 20))

    threads = [threading.Thread(target=talk, args=(word,)) for word in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(stream.getvalue().splitlines()) == {"a" * 20, "b" * 20, "c" * 20}


CONSOLE = """
import sys, threading
sys.path.insert(0, "tests")
from builder import log
from tests.test_log import tell
with log.use(log.Console(verbose="-v" in sys.argv)):
    tell()
    with log.step("threads"):
        talk = lambda: [log.line(f"[bold]{n}[/nonsense]") for n in range(200)]
        threads = [threading.Thread(target=__import__("contextvars").copy_context().run, args=(talk,)) for _ in "ab"]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
print("result")
"""


def on_terminal(*words: str) -> str:
    """What a terminal receives from a program."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", CONSOLE, *words], stdin=follower, stdout=follower, stderr=follower, env=environment
    ) as process:
        os.close(follower)
        received = b""
        while select.select([leader], [], [], 30)[0]:
            try:
                received += os.read(leader, 65536)
            except OSError:  # EIO: the last one closed the terminal.
                break
        assert process.wait(30) == 0, received.decode(errors="replace")
    os.close(leader)
    return received.decode()


def test_a_terminal_keeps_finished_steps() -> None:
    text = on_terminal()
    for part in ("✓", "✗", "rootfs", "bootstrap", "242 packages", "no [cache]", "threads", "result"):
        assert part in text
    assert "Traceback" not in text
    assert text.rstrip().endswith("result"), "the spinner stopped before the result"
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h"), "the cursor is back"


def test_a_verbose_terminal_shows_the_lines_as_they_are() -> None:
    assert "[bold]199[/nonsense]" in on_terminal("-v")
