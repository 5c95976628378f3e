# SPDX-License-Identifier: MIT
"""Two builds at once: of two boards, and of the same."""

from __future__ import annotations

import pytest

from tests.support.chaos import ON_LOOP, Place
from tests.support.wait import wait_until

pytestmark = pytest.mark.machine


def test_two_boards_at_once_do_not_disturb_each_other(place: Place) -> None:
    place.add_board("other")
    alone = [place.build("--output", place.path / "alone", board=name) for name in ("tiny", "other")]
    assert [build.code for build in alone] == [0, 0], [build.output for build in alone]
    together = [place.start(board=name) for name in ("tiny", "other", "tiny", "other")]
    assert [build.wait() for build in together] == [0] * 4, [build.output for build in together]
    assert place.traces() == []
    for name in ("tiny", "other"):
        file = f"boardwright-{name}-1.img"
        assert (place.output / file).read_bytes() == (place.path / "alone" / file).read_bytes()


def test_one_that_is_killed_does_not_disturb_the_other(place: Place) -> None:
    """The doctor and a third build give back what the dead one left while the living one holds a loop device."""
    place.add_board("other")
    place.stop_in("mke2fs", when=ON_LOOP, then="go")
    living = place.start(board="other")
    wait_until(place.reached.exists, "mke2fs does not start")
    assert place.build(die_after=2, by="SIGKILL").code == -9
    assert place.doctor("--fix")[1] == []
    (place.path / "go").touch()
    assert living.wait() == 0, living.output
    assert place.traces() == []


def test_the_same_board_waits_and_says_so(place: Place) -> None:
    place.stop_in("mke2fs", when=ON_LOOP, then="go")
    first = place.start()
    wait_until(place.reached.exists, "mke2fs does not start")
    second = place.start()
    second.wait_for_line(f"board tiny is being built by process {first.process.pid} on ")
    (place.path / "go").touch()
    assert first.wait() == 0, first.output
    assert second.wait() == 0, second.output
    assert place.traces() == []


def test_without_waiting_the_same_board_is_busy(place: Place) -> None:
    place.stop_in("mke2fs", when=ON_LOOP, then="go")
    first = place.start()
    wait_until(place.reached.exists, "mke2fs does not start")
    second = place.build("--no-wait")
    assert second.code == 9
    assert second.events[-1]["text"].startswith(f"board tiny is being built by process {first.process.pid} on ")
    (place.path / "go").touch()
    assert first.wait() == 0, first.output
    assert place.traces() == []
