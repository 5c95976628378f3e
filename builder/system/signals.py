# SPDX-License-Identifier: MIT
"""Moments that ^C and SIGTERM must not cut in two: starting a process, giving a resource back, ending others.

Python raises KeyboardInterrupt between any two steps of the main thread. Where half of a thing would be left behind,
the signal waits until the block has ended, and is then handled as it would have been. Signals after it change
nothing. Where Python ignores the exception, the signal comes once more.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a program to end: ^C, `kill`, a terminal that is closed."""
AGAIN_S = 0.05
"""How long after an interrupt that was lost it is sent again: Python is out of the destructor by then."""
Handler = Callable[[int, FrameType | None], Any] | signal.Handlers


def find_ending() -> list[signal.Signals]:
    """Return the signals that end this process: not SIGHUP where it is ignored, as under nohup."""
    return [each for each in ENDING if each != signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN]


def leave_terminal(number: int) -> None:
    """Let output go nowhere from now on if the signal means that the terminal is gone: writing to it would fail."""
    if number != signal.SIGHUP:
        return
    with Path(os.devnull).open("wb") as nowhere:
        for stream in (sys.stdout, sys.stderr):
            if stream.isatty():
                os.dup2(nowhere.fileno(), stream.fileno())


@contextmanager
def handled(by: Handler, numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Let signals go to a handler until the block has ended."""
    before = {number: signal.signal(number, by) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_off() -> Iterator[None]:
    """Let the ENDING signals wait until the block has ended. Only the main thread is ever interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    try:
        with handled(lambda number, _: waiting.append(number), ENDING):
            yield
    finally:
        if waiting:
            signal.raise_signal(waiting[0])


@contextmanager
def queued(put: Callable[[signal.Signals], object]) -> Iterator[None]:
    """Let the ENDING signals wait their turn in a queue (`put` of a SimpleQueue, which is made to be called from
    handlers) until the block has ended: an exception could come at any line, also while stopping."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def queue(number: int, _: FrameType | None) -> None:
        leave_terminal(number)
        put(signal.Signals(number))

    with handled(queue, find_ending()):
        yield


@contextmanager
def never_lost(arm: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Send SIGINT once more when the KeyboardInterrupt of a signal was ignored, until the block has ended.

    Python ignores exceptions in destructors and in callbacks of its garbage collector, and tells sys.unraisablehook.
    The timer of SIGALRM is used because nothing may be waited for there: the lock of a thread could be held.

    arm  called before, to let the signal raise again
    """

    def look(lost: Any) -> None:  # sys.UnraisableHookArgs, which is a name for type checkers only
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            hook(lost)
            return
        arm()
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)

    with handled(lambda *_: signal.raise_signal(signal.SIGINT), [signal.SIGALRM]):
        hook, sys.unraisablehook = sys.unraisablehook, look
        try:
            yield
        finally:
            sys.unraisablehook = hook
            signal.setitimer(signal.ITIMER_REAL, 0)
