# SPDX-License-Identifier: MIT
"""Moments that ^C and SIGTERM must not cut in two: starting a process, giving a resource back, ending others.

Python raises KeyboardInterrupt between any two steps of the main thread. Where half of a thing would be left behind,
the signal waits until the block has ended, and is then handled as it would have been. Signals after it change
nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_off() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait until the block has ended. Only the main thread is ever interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = {number: signal.signal(number, lambda number, _: waiting.append(number)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])


@contextmanager
def queued(put: Callable[[signal.Signals], object]) -> Iterator[None]:
    """Let SIGINT and SIGTERM wait their turn in a queue (`put` of a SimpleQueue, which is made to be called from
    handlers) until the block has ended: an exception could come at any line, also while stopping."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def queue(number: int, _: FrameType | None) -> None:
        put(signal.Signals(number))

    before: dict[signal.Signals, Any] = {number: signal.signal(number, queue) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
