# SPDX-License-Identifier: MIT
"""What a running kernel complained of.

A call trace is explained by what stands above it, so the lines before are part of what is found. A kernel in QEMU also
complains that time passed it by (stalls, lockups): that is the load of the machine it is emulated on, no fault of its
own, and is not held against it there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

TROUBLE = re.compile(r"\bOops\b|\bBUG:|Call trace|EXT4-fs error|I/O error|Out of memory", re.IGNORECASE)
LATE = re.compile(
    r"rcu.{0,99}(stall|starved)|soft lockup|blocked for more than|hogged CPU|CPUs?/tasks? detected", re.IGNORECASE
)
TRACE = re.compile(r"Call trace", re.IGNORECASE)
ABOVE = 24
"""Lines between the head of a report (modules, registers) and its call trace, at most."""


def find_trouble(log: Sequence[str], *, emulated: bool) -> list[str]:
    """Return what should not be in a kernel's log, each with what explains it; `emulated`: it runs in QEMU."""
    return list(_troubles(log, emulated=emulated))


def _troubles(log: Sequence[str], *, emulated: bool) -> Iterator[str]:
    for number, line in enumerate(log):
        if not TROUBLE.search(line):
            continue
        about = log[max(0, number - ABOVE) : number + 1] if TRACE.search(line) else [line]
        if emulated and any(LATE.search(each) for each in about):
            continue
        yield "\n".join(about)
