# SPDX-License-Identifier: MIT
"""Progress: its events, how often they come, and how each sink shows them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from builder import log
from builder.engine.events import EventStream
from builder.log import Event, Json, Plain
from builder.net.progress import INTERVAL_S, Progress
from builder.units import GIB, MIB
from tests.conftest import ROOT
from tests.support.log import Heard


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Make tqdm's clock stand still, and return what moves it on."""
    now = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])

    def move_on(seconds: float) -> None:
        now[0] += seconds

    return move_on


def test_it_says_how_fast_and_how_long(heard: Heard, wait: Callable[[float], None]) -> None:
    with Progress("x.img.zst", 1000 * MIB) as progress:
        for _ in range(10):
            wait(1)
            progress.update(100 * MIB)
    assert [event.kind for event in heard.events] == ["progress"] * 12
    assert {event.text for event in heard.events} == {"x.img.zst"}
    assert heard.data("fraction") == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0]
    assert heard.data("speed")[:3] == ["0 B/s", "00:09 left at 100 MiB/s", "00:08 left at 100 MiB/s"]
    assert heard.data("speed")[-1] == "100 MiB/s"


def test_what_was_there_before_is_not_a_part_of_the_speed(heard: Heard, wait: Callable[[float], None]) -> None:
    with Progress("x", 1000 * MIB, 900 * MIB) as progress:
        wait(2)
        progress.update(20 * MIB)
    assert heard.data("fraction") == [0.9, 0.92, 0.92]
    assert heard.data("speed") == ["0 B/s", "00:08 left at 10 MiB/s", "00:08 left at 10 MiB/s"]


def test_events_have_a_distance(heard: Heard, wait: Callable[[float], None]) -> None:
    with Progress("x", 4000) as progress:
        for _ in range(4000):
            wait(0.001)
            progress.update(1)
    assert 4 / INTERVAL_S / 2 <= len(heard.events) <= 4 / INTERVAL_S + 2


def test_a_slow_part_after_a_fast_one_is_shown(heard: Heard, wait: Callable[[float], None]) -> None:
    """tqdm would count on as many updates as it had before, and look for slow ones by a thread."""
    with Progress("x", GIB) as progress:
        for _ in range(1000):
            wait(0.01)
            progress.update(MIB)
        shown = len(heard.events)
        for _ in range(3):
            wait(5)
            progress.update(1)
        assert len(heard.events) == shown + 3


def test_it_can_be_set_to_a_position(heard: Heard, wait: Callable[[float], None]) -> None:
    with Progress("x", 100) as progress:
        for position in (10, 30, 30, 90):
            wait(1)
            progress.move_to(position)
    assert heard.data("fraction") == [0.0, 0.1, 0.3, 0.3, 0.9, 0.9]


def test_more_than_was_announced_is_all(heard: Heard) -> None:
    with Progress("x", 100) as progress:
        progress.update(300)
    assert heard.data("fraction") == [0.0, 1.0]


def test_without_a_total_nothing_is_shown(heard: Heard) -> None:
    with Progress("x", 0) as progress:
        progress.update(100)
        progress.move_to(300)
    assert heard.events == []


@pytest.mark.parametrize(
    "settings",
    [{"TQDM_DISABLE": "1", "TQDM_DELAY": "9", "TQDM_LEAVE": ""}, {"TQDM_MININTERVAL": "often", "TQDM_NROWS": "x"}],
    ids=["other", "malformed"],
)
def test_the_environment_of_tqdm_changes_nothing(settings: dict[str, str]) -> None:
    """The program that reads the events needs them. tqdm reads its environment when it is imported."""
    code = "from builder.net.progress import Progress\nfrom builder import log; import sys\n"
    code += "with log.use(log.Json(sys.stdout)), Progress('x', 100) as progress: progress.update(30)"
    environment = {**os.environ, **settings, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.count('"progress"') == 2


def test_nothing_is_started_and_nothing_printed(heard: Heard, capfd: pytest.CaptureFixture[str]) -> None:
    threads = threading.active_count()
    with Progress("x", 100) as progress:
        progress.update(50)
        assert (threading.active_count(), Progress.monitor) == (threads, None)
    assert capfd.readouterr() == ("", "")


class Interrupting:
    """Is interrupted while it shows an event."""

    def show(self, event: Event) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_while_it_is_shown_holds_up_no_other_thread() -> None:
    with log.use(Interrupting()), pytest.raises(KeyboardInterrupt), Progress("x", 100):
        pytest.fail("it was interrupted before")

    def work() -> None:
        with Progress("y", 100) as progress:
            progress.update(100)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def _copy() -> None:
    with Progress("x.img.zst", 1000 * MIB) as progress:
        progress.update(450 * MIB)


def test_each_sink_shows_it_in_its_own_way(wait: Callable[[float], None]) -> None:
    lines, plain, heard = io.StringIO(), io.StringIO(), Heard()
    with log.use(Plain(plain, verbose=True)):
        _copy()
    assert plain.getvalue() == "", "a log file has no use for it"
    with log.use(Json(lines)):
        _copy()
    assert [json.loads(line)["data"] for line in lines.getvalue().splitlines()] == [
        {"fraction": 0.0, "speed": "0 B/s"},
        {"fraction": 0.45, "speed": "0 B/s"},
    ]
    with log.use(heard), Progress("x.img.zst", 1000 * MIB) as progress:
        wait(3)
        progress.update(450 * MIB)
        assert log.last_words(heard.events[-1]) == " 45% 00:04 left at 150 MiB/s  x.img.zst"


def test_a_build_in_a_container_passes_it_on(heard: Heard, wait: Callable[[float], None]) -> None:
    stream = io.StringIO()
    with log.use(Json(stream)), Progress("x.img.zst", 100 * MIB) as progress:
        wait(1)
        progress.update(20 * MIB)
    events = EventStream()
    events.feed(stream.getvalue().encode(), None)
    assert log.last_words(heard.events[1]) == " 20% 00:04 left at 20 MiB/s  x.img.zst"


@pytest.mark.parametrize("speed", [5, {"a": []}, None, "\x1b[2J"])
def test_a_speed_that_is_none_does_no_harm(heard: Heard, speed: object) -> None:
    row = {"kind": "progress", "text": "x", "data": {"fraction": 0.5, "speed": speed}}
    EventStream().feed(json.dumps(row).encode() + b"\n", None)
    assert log.last_words(heard.events[0]).startswith(" 50% ")
