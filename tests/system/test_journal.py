# SPDX-License-Identifier: MIT
"""Journals: a resource is listed before it is taken, and what a killed build left is released."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from pathlib import Path

import pytest

from builder.errors import ToolError
from builder.system.workspace import (
    HeldResource,
    Journal,
    Leftovers,
    find_leftovers,
    open_journal,
    open_workspace,
    release,
)
from tests.support.journals import Recorder, events, journals


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
