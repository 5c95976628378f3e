# SPDX-License-Identifier: MIT
"""The holder of a board's lock, written into the lock file for the message of a waiting build.

A pid means nothing outside of its container, where each build is process 1. So a container gets the name that it has on
the machine that started it.
"""

from __future__ import annotations

import json
import os
import platform
import time
from typing import IO

from builder.system.files import load_json

CONTAINER = "BOARDWRIGHT_CONTAINER"
"""Environment variable of a container: its name, and the machine that started it."""
LONGEST = 4096


def write_holder(stream: IO[str]) -> None:
    """Replace the content of the lock file with the name of this process and the time."""
    holder = os.environ.get(CONTAINER) or f"process {os.getpid()} on {platform.node()}"
    stream.truncate(0)
    stream.write(json.dumps({"holder": holder, "since": time.time()}))
    stream.flush()


def read_holder(stream: IO[str]) -> str:
    """Return the lock holder and its start time: "process 7 on host, since 2026-11-27 18:00:01 UTC"."""
    stream.seek(0)
    try:
        entry = load_json(stream.read(LONGEST))
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(float(entry["since"])))
        return f"{entry['holder']}, since {since}"
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return "another build"  # It has the lock, but has not written yet.
