# SPDX-License-Identifier: MIT
"""How often and how long a server is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from builder import log
from builder.errors import BoardwrightError, DownloadError

Answer = TypeVar("Answer")


class PassingError(Exception):
    """What may be gone at the next attempt.

    pause_s  what the server asks for, in seconds
    kind     what it is when it does not pass
    """

    def __init__(self, reason: str, pause_s: float = 0.0, kind: type[BoardwrightError] = DownloadError) -> None:
        super().__init__(reason)
        self.pause_s = pause_s
        self.kind = kind


@dataclass(frozen=True)
class Patience:
    """Bounds, and the clock they are measured by."""

    attempts: int = 6
    first_s: float = 1.0
    """Pause before the second attempt; it doubles with each further one."""
    longest_s: float = 1200.0
    """A server that asks for a longer pause is not waited for."""
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    """Seconds since 1970."""


def persist(patience: Patience, what: str, act: Callable[[], Answer]) -> Answer:
    """Return what `act` returns; as long as it raises PassingError it is called again.

    Raises DownloadError, or the kind that the last PassingError had, when it does not pass.
    """
    for attempt in range(1, patience.attempts + 1):
        try:
            return act()
        except PassingError as error:
            trouble = error
        if trouble.pause_s > patience.longest_s:
            until = time.strftime("%H:%M UTC", time.gmtime(patience.now() + trouble.pause_s))
            raise trouble.kind(
                f"{what}: {trouble}, until {until}", hint="run the same again then: it goes on from here"
            )
        if attempt < patience.attempts:
            pause_s = max(patience.first_s * 2 ** (attempt - 1), trouble.pause_s)
            log.note(f"{what}: {trouble}; next attempt in {pause_s:.0f} s")
            patience.sleep(pause_s)
    raise trouble.kind(
        f"{what}: {trouble}, {patience.attempts} times", hint="run the same again later: it goes on from here"
    )
