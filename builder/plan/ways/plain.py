# SPDX-License-Identifier: MIT
"""Read lines of configuration files; lines that programs may read in different ways are an error."""

from __future__ import annotations

import re
from collections.abc import Iterator


def list_lines(content: bytes, comment: tuple[str, ...] = ("#",), *, joins: bool = False) -> Iterator[str]:
    """Yield lines that are neither empty nor a comment. Raises ValueError for lines with more than one reading.

    joins  join a line that ends in a backslash with the next; programs disagree on this if "\\r" follows the backslash
    """
    if joins and b"\r" in content:
        raise ValueError("a line with another line ending")
    waiting = ""
    for raw in content.decode().replace("\r\n", "\n").split("\n"):
        line = raw.strip(" \t")
        if _ODD.search(line) or (line.endswith("\\") and (not joins or line.startswith(comment))):
            raise ValueError("a line that is not plain")
        if line.endswith("\\"):
            waiting += line[:-1] + " "
            continue
        if waiting or (line and not line.startswith(comment)):
            yield waiting + line
        waiting = ""
    if waiting:
        yield waiting


_ODD = re.compile(r"[^\S \t]|[\x00-\x08\x0e-\x1f\x7f]")
"""Blanks that some programs do not take as blanks, and control characters."""
