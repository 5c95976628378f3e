# SPDX-License-Identifier: MIT
"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(true: Callable[[], object], what: str, timeout_s: float = 90) -> None:
    """Wait for a condition; fail with `what` if it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
