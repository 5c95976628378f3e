# SPDX-License-Identifier: MIT
"""Find errors in the log of a running kernel.

The lines above a call trace explain it, so they are part of the result. A kernel in QEMU may also report stalls and
lockups. They come from the load of the host, so they are ignored there.
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
"""Maximum number of lines between the head of a report (modules, registers) and its call trace."""


def find_trouble(log: Sequence[str], *, emulated: bool) -> list[str]:
    """Return the errors in a kernel's log, each with the lines that explain it; `emulated`: it runs in QEMU."""
    return list(_troubles(log, emulated=emulated))


def _troubles(log: Sequence[str], *, emulated: bool) -> Iterator[str]:
    for number, line in enumerate(log):
        if not TROUBLE.search(line):
            continue
        report = log[max(0, number - ABOVE) : number + 1] if TRACE.search(line) else [line]
        if emulated and any(LATE.search(text) for text in report):
            continue
        yield "\n".join(report)
