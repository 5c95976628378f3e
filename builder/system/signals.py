# SPDX-License-Identifier: MIT
"""Delay ^C and SIGTERM during critical sections: starting a process, releasing a resource, stopping others.

Python raises KeyboardInterrupt between any two steps of the main thread. In a critical section the signal waits until
the block has ended, and is then handled as usual. Further signals are ignored there. If Python ignores the exception,
the signal is sent again.
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
"""Signals that ask a program to end: ^C, `kill`, a closed terminal."""
AGAIN_S = 0.05
"""Delay before a lost interrupt is sent again: by then Python has left the destructor."""
Handler = Callable[[int, FrameType | None], Any] | signal.Handlers


def find_ending() -> list[signal.Signals]:
    """Return the signals that end this process: not SIGHUP where it is ignored, as under nohup."""
    return [number for number in ENDING if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN]


def leave_terminal(number: int) -> None:
    """Redirect terminal output to /dev/null after SIGHUP: the terminal is gone, and writing would fail."""
    if number != signal.SIGHUP:
        return
    with Path(os.devnull).open("wb") as nowhere:
        for stream in (sys.stdout, sys.stderr):
            if stream.isatty():
                os.dup2(nowhere.fileno(), stream.fileno())


@contextmanager
def handled(by: Handler, numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Handle signals with `by` until the block has ended."""
    before = {number: signal.signal(number, by) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_off() -> Iterator[None]:
    """Delay the ENDING signals until the block has ended. Python interrupts only the main thread."""
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
    """Put the ENDING signals into a queue until the block has ended, instead of an exception at any line.

    put  method of a SimpleQueue, which is safe in signal handlers
    """
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
    """Until the block has ended, send SIGINT again if Python ignored its KeyboardInterrupt.

    Python ignores exceptions in destructors and in callbacks of its garbage collector, and calls sys.unraisablehook.
    That hook must not wait, because a thread could hold a lock. So it uses the timer of SIGALRM.

    arm  called first, so that the signal raises again
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
