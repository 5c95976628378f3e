# SPDX-License-Identifier: MIT
"""The command line, with a signal to itself right after the Nth line of a journal: `fatal.py N SIGNAL ARGUMENT…`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Literal

from builder import cli
from builder.system.workspace import HeldResource, Journal

_write = Journal._write
_left = int(sys.argv[1])
_by = signal.Signals[sys.argv[2]]


def _write_and_die(self: Journal, event: Literal["hold", "free"], held: HeldResource) -> None:
    global _left  # noqa: PLW0603
    _write(self, event, held)
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), _by)


Journal._write = _write_and_die  # type: ignore[method-assign]
sys.argv[:] = sys.argv[:1] + sys.argv[3:]
cli.main()
