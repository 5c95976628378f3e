# SPDX-License-Identifier: MIT
"""Who builds a board, written into the lock of its room for others that want to.

A number of a process says nothing outside of its container, where each build is process 1. So a container is told
what it is called where it was started.
"""

from __future__ import annotations

import json
import os
import platform
import time
from typing import IO

from builder.system.files import load_json

CONTAINER = "BOARDWRIGHT_CONTAINER"
"""The environment of a container: its name, and the machine that it was started from."""
LONGEST = 4096


def write_holder(stream: IO[str]) -> None:
    """Write that this process builds from now on, in the place of all that the file says."""
    holder = os.environ.get(CONTAINER) or f"process {os.getpid()} on {platform.node()}"
    stream.truncate(0)
    stream.write(json.dumps({"holder": holder, "since": time.time()}))
    stream.flush()


def read_holder(stream: IO[str]) -> str:
    """Return who builds, and since when: "process 7 on host, since 2026-11-27 18:00:01 UTC"."""
    stream.seek(0)
    try:
        found = load_json(stream.read(LONGEST))
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(float(found["since"])))
        return f"{found['holder']}, since {since}"
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return "another build"  # It has the lock, and is about to write.
