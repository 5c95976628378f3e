# SPDX-License-Identifier: MIT
"""Quote text for programs that parse it, with one function for each parser.

The types of a recipe (builder.recipe.values) exclude most characters that need quoting. These functions protect text
from other sources, and recipes if a type becomes wider one day.
"""

from __future__ import annotations

import re
from pathlib import Path

from builder.errors import BoardwrightError


def line(text: str) -> str:
    """Return text if it fits on one line of a file (fstab, hosts, a loader entry, a command line)."""
    if len(text.splitlines()) > 1 or text.endswith("\n") or "\0" in text:
        raise BoardwrightError(f"found {text[:60]!r}; expected one line", hint="this is a bug; please report it")
    return text


def shell(text: str) -> str:
    """Return text in double quotes, for shells (/etc/default/*) and for os-release(5)."""
    return '"' + re.sub(r'(["$`\\])', r"\\\1", line(text)) + '"'


def deb822(fields: dict[str, str]) -> str:
    """Return a stanza for APT or flash-kernel; a value cannot start a new field (deb822(5))."""
    return "".join(f"{name}: {line(value)}\n" for name, value in fields.items())


def qemu(path: Path | str) -> str:
    """Return a value for an option list of QEMU, with commas doubled (qemu(1), -drive)."""
    return str(path).replace(",", ",,")
