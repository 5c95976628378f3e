# SPDX-License-Identifier: MIT
"""Moments that signals must not cut in two."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from builder.system.signals import ENDING, held_off, never_lost, queued


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    yield
    assert {signal.getsignal(number) for number in ENDING} == {signal.default_int_handler}
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_waits_for_the_end_of_the_block(number: signal.Signals) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), held_off():  # noqa: PT012
        signal.raise_signal(number)
        done.append("to the end")
    assert done == ["to the end"]


def test_blocks_in_blocks_wait_for_the_outer_one() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), held_off():  # noqa: PT012 - the order in it is what is tested
        with held_off():
            signal.raise_signal(signal.SIGINT)
        done.append("still inside")
    assert done == ["still inside"]


def test_without_a_signal_nothing_happens() -> None:
    with held_off():
        pass


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_off():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_in_the_block_is_kept_as_the_context() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, held_off():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        raise ValueError("inside")
    assert isinstance(caught.value.__context__, ValueError)


def test_other_threads_are_never_interrupted() -> None:
    done: list[str] = []

    def work() -> None:
        with held_off():
            done.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["done"]


@pytest.mark.parametrize("number", ENDING)
def test_signals_wait_their_turn_in_a_queue(number: signal.Signals) -> None:
    received: list[object] = []
    with queued(received.append):
        received.append("before")
        signal.raise_signal(number)
        signal.raise_signal(number)
        received.append("after")
    assert received == ["before", number, number, "after"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_after_an_error_signals_are_no_longer_queued() -> None:
    received: list[object] = []
    with pytest.raises(ValueError, match="inside"), queued(received.append):
        raise ValueError("inside")
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert received == []


def test_an_interrupt_in_the_garbage_collector_comes_once_more() -> None:
    """Or more often: hypothesis has a callback of the collector, which can be what runs at that moment."""

    def interrupt(*_: object) -> None:
        gc.callbacks.remove(interrupt)
        signal.raise_signal(signal.SIGINT)

    armed: list[str] = []
    gc.callbacks.append(interrupt)
    with pytest.raises(KeyboardInterrupt), never_lost(lambda: armed.append("armed")):  # noqa: PT012
        gc.collect()
        threading.Event().wait(20)
    assert set(armed) == {"armed"}


def test_another_exception_that_python_ignores_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError

    kinds: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: kinds.append(lost.exc_type))
    with never_lost():
        Failing()
    assert kinds == [ValueError]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
