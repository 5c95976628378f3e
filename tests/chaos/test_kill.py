# SPDX-License-Identifier: MIT
"""kill -9 after each line of the journal: the doctor, or the next build, gives everything back."""

from __future__ import annotations

import pytest

from tests.support.chaos import ON_LOOP, Place
from tests.support.wait import wait_until

pytestmark = pytest.mark.machine

LINES = 8
"""Of the journal of one build: scratch, two loop devices, unfinished artefacts; each held and freed."""
PRODUCTS = [f"boardwright-tiny-1.{suffix}" for suffix in ("build.json", "img", "img.sha256", "packages")]


def test_a_journal_has_as_many_lines_as_the_tests_here_kill_at(place: Place) -> None:
    assert place.build(die_after=LINES, by="SIGKILL").code == -9
    assert place.build(die_after=LINES + 1, by="SIGKILL").code == 0
    assert place.traces() == []


@pytest.mark.parametrize("line", range(1, LINES + 1))
def test_the_doctor_gives_back_what_kill_9_left(place: Place, line: int) -> None:
    assert place.build(die_after=line, by="SIGKILL").code == -9
    assert place.traces() != []
    if line < LINES:  # At the last line all is given back already; an empty journal is allowed.
        assert any("scratch" in text for text in place.leftovers())
    assert place.doctor("--fix")[1] == []
    assert place.traces() == []
    assert place.leftovers() == []
    # All artefacts or none: before its last line but one, nothing has its final name.
    assert place.products() == (PRODUCTS if line >= LINES - 1 else [])


def test_the_doctor_that_only_looks_changes_nothing(place: Place) -> None:
    assert place.build(die_after=1, by="SIGKILL").code == -9
    before = place.traces()
    code, left = place.doctor()
    assert code == 4
    assert left == place.leftovers() != []
    assert place.traces() == before


@pytest.mark.parametrize("line", range(1, LINES + 1))
def test_the_next_build_gives_it_back_too(place: Place, line: int) -> None:
    assert place.build(die_after=line, by="SIGKILL").code == -9
    again = place.build()
    assert again.code == 0, again.output
    assert place.traces() == []
    assert place.products() == PRODUCTS


@pytest.mark.parametrize("line", range(1, LINES + 1))
def test_an_interrupt_at_each_line_needs_no_doctor(place: Place, line: int) -> None:
    build = place.build(die_after=line, by="SIGINT")
    assert build.code == 130, build.output
    assert place.traces() == []
    assert place.products() == (PRODUCTS if line >= LINES - 1 else [])


def test_a_build_that_waited_gives_back_what_the_killed_one_left(place: Place) -> None:
    place.stop_in("mke2fs", when=ON_LOOP)
    first = place.start()
    wait_until(place.reached.exists, "mke2fs does not start")
    second = place.start()
    second.wait_for_line("waiting for")
    place.unstop()
    first.process.kill()
    assert first.wait() == -9
    assert second.wait() == 0
    assert place.traces() == []
