# SPDX-License-Identifier: MIT
"""Read /etc/fstab as libmount and systemd do; refuse an image with a line that they read in different ways."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from builder.errors import VerifyError

FIELD = re.compile("[^ \t]+")
"""Other white space is part of a field (libmount's tab_parse.c)."""
ESCAPED = re.compile(r"\\([0-3][0-7]{2})")
TURN = re.compile("[0-9]{1,3}")
SHOWN = 100


@dataclass(frozen=True)
class Mount:
    """A line of fstab."""

    source: str
    kind: str
    options: str
    turn: int
    """When fsck checks it: 1 first, 2 later, 0 never."""


def read_fstab(text: str) -> dict[str, Mount]:
    """Return the lines of fstab by mount point, those of swap by device or file; the last two fields may be left out
    (fstab(5)).

    Raises VerifyError for a line with fewer than four fields, and for a second line of a mount point. Of two lines,
    systemd takes the first, mount(8) takes both.
    """
    rows: dict[str, Mount] = {}
    points: set[str] = set()
    for line in text.split("\n"):
        fields = FIELD.findall(line)
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) < 4:
            raise _refuse(line, "at least four fields: what, where, type and options")
        source, where, kind, options = fields[:4]
        where = source if kind == "swap" else where
        point = _normalise(where)
        if point in points:
            raise _refuse(line, "one line for each mount point")
        points.add(point)
        turn = int(fields[5]) if fields[5:] and TURN.fullmatch(fields[5]) else 0
        rows.setdefault(where, Mount(source, kind, options, turn))
    return rows


def _normalise(where: str) -> str:
    """Return a mount point as it is mounted: a space is \\040 in fstab, and /x/ and //x are /x."""
    path = ESCAPED.sub(lambda match: chr(int(match[1], 8)), where)
    return posixpath.normpath("/" + path.lstrip("/")) if path.startswith("/") else path


def _refuse(line: str, allowed: str) -> VerifyError:
    shown = line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
    return VerifyError(f"/etc/fstab of the image has the line {shown!r}; allowed: {allowed}")
