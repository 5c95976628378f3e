# SPDX-License-Identifier: MIT
"""Moments that ^C and SIGTERM must not cut in two: starting a process, giving a resource back.

Python raises KeyboardInterrupt between any two steps of the main thread. Where half of a thing would be left behind,
the signal waits until the block has ended, and is then handled as it would have been. Signals after it change
nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
