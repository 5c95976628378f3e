# SPDX-License-Identifier: MIT
"""Progress of bytes that are fetched, sent, copied or compressed: percent, rate and time left.

tqdm counts and measures. Instead of its bar there are events of the log, which each sink shows in its own way. A build
in a container passes them on.
"""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING, Any, Never

from builder import log
from builder.units import render_size

# tqdm reads these settings of a user's own bars when it is imported, and fails at a malformed one.
for _setting in [name for name in os.environ if name.startswith("TQDM_")]:
    del os.environ[_setting]

from tqdm import tqdm  # noqa: E402 - after its settings are gone

if TYPE_CHECKING:
    _Base = tqdm[Never]  # It iterates over nothing. Only the type stubs have this parameter.
else:
    _Base = tqdm

INTERVAL_S = 0.5
"""The least time between two events."""


class Progress(_Base):
    """Bytes done of a known total. A context manager; each piece is counted with `update`.

    Events are shown at the start, at the end, and at most every INTERVAL_S between them. A total of 0 means that it is
    not known: nothing is shown.
    """

    monitor_interval = 0  # tqdm starts a thread for a slow `update` otherwise. Here each one looks at the clock.
    _lock = threading.RLock()  # tqdm's default is a semaphore of the system, for several processes.

    def __init__(self, name: str, total_bytes: int, done_bytes: int = 0) -> None:
        super().__init__(
            desc=name,
            total=total_bytes,
            initial=done_bytes,
            disable=not total_bytes,
            delay=0.0,
            leave=True,
            mininterval=INTERVAL_S,
            miniters=0,
            file=io.StringIO(),  # tqdm itself writes line breaks only, because `display` does not draw.
        )

    def __del__(self) -> None:
        """Do nothing: tqdm would show the state once more, and fail where `__init__` was interrupted."""

    def move_to(self, done_bytes: int) -> None:
        """Set how many bytes are done."""
        self.update(done_bytes - self.n)

    def refresh(self, *_: Any, **__: Any) -> None:
        """Show the state without tqdm's lock, which would stay locked after ^C. The log has a lock of its own."""
        if not self.disable:
            self.display()

    def display(self, *_: Any, **__: Any) -> None:
        """Show the state as an event."""
        state = self.format_dict
        done, total, elapsed_s = state["n"], state["total"], state["elapsed"]
        rate = state["rate"] or ((done - state["initial"]) / elapsed_s if elapsed_s else 0.0)
        speed = f"{render_size(round(rate))}/s"
        if rate and done < total:
            speed = f"{self.format_interval(round((total - done) / rate))} left at {speed}"
        log.progress(self.desc, min(1.0, done / total), speed)
