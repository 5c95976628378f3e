# SPDX-License-Identifier: MIT
"""Read files of boot loaders line by line, and refuse an image with a line that no build writes.

Boot loaders accept more than these grammars: other letter case, other separators, later lines that win, includes. To
support all of that would mean to write each boot loader again. So an unknown line is an error; it is never skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate

from builder.disk.filetree import FileTree
from builder.errors import VerifyError
from builder.units import MIB

HINT = (
    "the build and kernel upgrades write this file; put other settings of a board into `boot` of its recipe, "
    "or into its files/"
)
COMMENT = r"(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?"
"""A comment or an empty line."""
NAME = r"[A-Za-z0-9_][A-Za-z0-9._+~-]*"
PATH = rf"(?:/{NAME})+"
TEXT = r"[^\x00-\x1f\x7f]*"
SHOWN = 100
LARGEST = MIB
"""Limit for a boot file; real ones have a few KiB."""


@dataclass(frozen=True)
class BootLine:
    """A line of a boot file."""

    key: str
    """Name of its pattern in the grammar; "" for a comment or an empty line."""
    value: str
    number: int
    text: str


def read_lines(
    tree: FileTree, path: str, grammar: Mapping[str, str], is_known: Callable[[str], bool] = lambda _: False
) -> list[BootLine]:
    """Return the lines of a boot file without comments and empty lines.

    grammar   regular expressions by key, for whole lines; their only group is the value
    is_known  returns whether a line is one of the recipe; its key is "known"

    Raises VerifyError if the file is missing, a link or too large, and for a line that matches none of these.
    """
    rows = [("", re.compile(COMMENT)), *((key, re.compile(pattern)) for key, pattern in grammar.items())]
    return [line for line in _match(path, read_text(tree, path), rows, is_known) if line.key]


def read_text(tree: FileTree, path: str) -> str:
    """Return the text of a boot file; VerifyError if it is missing, a link or too large.

    Links are refused: a boot loader follows them by other rules than Linux, and reads one filesystem only.
    """
    entry = tree.entries.get(path)
    if entry is None or entry.kind != "file":
        raise VerifyError(f"the image has no file {path}, which its boot loader reads", hint=HINT)
    if entry.size_bytes > LARGEST:
        raise VerifyError(f"{path} of the image has {entry.size_bytes} bytes; expected at most {LARGEST}", hint=HINT)
    return entry.read().decode(errors="replace")


def _match(
    path: str, text: str, rows: Iterable[tuple[str, re.Pattern[str]]], is_known: Callable[[str], bool]
) -> Iterable[BootLine]:
    rows = list(rows)
    for number, row in enumerate(text.split("\n"), 1):
        line = row.removesuffix("\r")
        if is_known(line):
            yield BootLine("known", "", number, line)
            continue
        first = next(((key, match) for key, pattern in rows if (match := pattern.fullmatch(line))), None)
        if first is None:
            raise refuse(path, number, line, "a line that builds write")
        key, match = first
        yield BootLine(key, (match[1] or "") if match.re.groups else "", number, line)


def refuse(path: str, number: int, text: str, allowed: str) -> VerifyError:
    """Return the error for a line."""
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return VerifyError(f"{path} of the image has in line {number}: {shown!r}; expected {allowed}", hint=HINT)


def take_one(path: str, lines: Iterable[BootLine], key: str) -> str:
    """Return the value of the only line with a key; VerifyError unless there is exactly one."""
    matching = [line for line in lines if line.key == key]
    if not matching:
        raise VerifyError(f"{path} of the image has no line with {key}", hint=HINT)
    if matching[1:]:
        raise refuse(path, matching[1].number, matching[1].text, f"one line with {key}")
    return matching[0].value


def refuse_others(tree: FileTree, top: str, patterns: Iterable[str], allowed: Container[str], reader: str) -> None:
    """Raise VerifyError for an unknown file that a boot loader would read.

    top       mount point of the filesystem that the boot loader reads
    patterns  of paths in that filesystem, in lower case, because a FAT ignores case
    allowed   known paths of the system
    reader    name of the boot loader, for the message
    """
    is_one = re.compile("|".join(map(translate, patterns))).match
    for entry in tree.below(top):
        name = entry.path.removeprefix(top).lstrip("/").lower()
        if entry.kind != "directory" and entry.path not in allowed and is_one(name):
            raise VerifyError(f"the image has {entry.path}, which {reader} reads and no build writes", hint=HINT)
