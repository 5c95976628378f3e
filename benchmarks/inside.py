# SPDX-License-Identifier: MIT
"""Run in the builder's container: one command, timed, with the most memory that its processes had at once.

    python3 inside.py COMMAND...

Writes one JSON object to stderr, last: seconds, exit code, and mib, the largest sum of the processes' own memory
(RssAnon), looked at twenty times a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path


def measure_memory() -> int:
    """Return the KiB of their own that all processes but this one have."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            rows = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue  # It ended meanwhile.
        total += int(rows.get("RssAnon", "0 kB").split()[0])
    return total


def main() -> None:
    """Run the command and say what it took."""
    most, over = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.05):
            most = max(most, measure_memory())

    thread = threading.Thread(target=watch)
    thread.start()
    begun = time.monotonic()
    done = subprocess.run(sys.argv[1:], check=False)
    seconds = time.monotonic() - begun
    over.set()
    thread.join()
    sys.stderr.write(json.dumps({"seconds": seconds, "code": done.returncode, "mib": most // 1024}) + "\n")


if __name__ == "__main__":
    main()
