# SPDX-License-Identifier: MIT
"""Measure how long commands take to start: python -m benchmarks.start [RUNS] [PROGRAM…]

Prints a table with the median of RUNS (default 9) of each command, after one run that is not counted: seconds that
passed, and seconds of processor time, which other work on the machine disturbs less. PROGRAM is how the command line is
called, default: `boardwright` of this Python's environment. `build nosuch` is what a build costs before it begins.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "--version",
    "--help",
    "nosuch",
    "schema",
    "plan rpi",
    "plan rpi --json",
    "plan nosuch",
    "boards",
    "build --help",
    "build nosuch",
    "doctor --help",
    "cache --help",
)


def measure(argv: Sequence[str]) -> tuple[float, float]:
    """Run a command and return the seconds that passed and the processor seconds of it and its children."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    passed, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure every command and print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    program = sys.argv[2:] or [str(Path(sys.executable).with_name("boardwright"))]
    print("| Command | Time | Processor |\n|---|---|---|")
    for command in COMMANDS:
        argv = [*program, *command.split()]
        measure(argv)  # It may have to compile, and reads the modules from the disk.
        passed, used = zip(*(measure(argv) for _ in range(runs)), strict=True)
        print(f"| `{command}` | {median(passed):.2f} s | {median(used):.2f} s |", flush=True)


if __name__ == "__main__":
    main()
