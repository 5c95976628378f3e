# SPDX-License-Identifier: MIT
"""Text for files and options that something else parses: one function for each that reads.

The types of a recipe (builder.recipe.values) leave out most of what would have to be quoted. These functions hold
where a type is widened one day, and where text does not come from a recipe.
"""

from __future__ import annotations

import re
from pathlib import Path

from builder.errors import BoardwrightError


def line(text: str) -> str:
    """Return text that is one line of a file (fstab, hosts, a loader entry, a command line); refuse another one."""
    if len(text.splitlines()) > 1 or text.endswith("\n") or "\0" in text:
        raise BoardwrightError(f"found {text[:60]!r}, where one line is needed", hint="this is a bug; please report it")
    return text


def shell(text: str) -> str:
    """Return text in double quotes, as a shell reads it in /etc/default/*, and other programs in os-release(5)."""
    return '"' + re.sub(r'(["$`\\])', r"\\\1", line(text)) + '"'


def deb822(fields: dict[str, str]) -> str:
    """Return a stanza as APT and flash-kernel read it; no value can begin a field of its own (deb822(5))."""
    return "".join(f"{name}: {line(value)}\n" for name, value in fields.items())


def qemu(path: Path | str) -> str:
    """Return a value of an option list of QEMU, where a comma ends a value and two are one (qemu(1), -drive)."""
    return str(path).replace(",", ",,")
