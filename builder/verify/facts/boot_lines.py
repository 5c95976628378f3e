# SPDX-License-Identifier: MIT
"""Files of boot loaders, read line by line: each line is one that a build writes, or the image is refused.

Boot loaders know more than what is written here: other letters, other separators, later lines that win, files that
include others. To follow them all would be to write each of them again, so a line that is not understood is no line
that is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate

from builder.disk.filetree import Tree
from builder.errors import VerifyError
from builder.units import MIB

HINT = (
    "the build and upgrades of the kernel write this file; what a board needs besides goes into `boot` of its recipe, "
    "or into its files/"
)
COMMENT = r"(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?"
"""A comment, or nothing."""
SHOWN = 100
LARGEST = MIB
"""Of what is a few KiB."""


@dataclass(frozen=True)
class Line:
    """A line of a boot file."""

    key: str
    """Its row of the grammar; empty for one that says nothing."""
    value: str
    number: int
    text: str


def read_lines(
    tree: Tree, path: str, grammar: Mapping[str, str], is_known: Callable[[str], bool] = lambda _: False
) -> list[Line]:
    """Return the lines of a boot file that say something.

    grammar   regular expressions by key, for whole lines; what their only group fits is the value
    is_known  says whether a line is one of the recipe's; its key is "known"

    Raises VerifyError when the file is missing, a link or too large, and for a line that is none of these.
    """
    rows = [("", re.compile(COMMENT)), *((key, re.compile(pattern)) for key, pattern in grammar.items())]
    return [line for line in _match(path, read_text(tree, path), rows, is_known) if line.key]


def read_text(tree: Tree, path: str) -> str:
    """Return the text of a boot file. A boot loader follows links by other rules than the system that it starts, and
    knows one filesystem only, so there is none on the way."""
    entry = tree.entries.get(path)
    if entry is None or entry.kind != "file":
        raise VerifyError(f"the image has no file {path}, which its boot loader reads", hint=HINT)
    if entry.size_bytes > LARGEST:
        raise VerifyError(f"{path} of the image has {entry.size_bytes} bytes; allowed: {LARGEST}", hint=HINT)
    return entry.read().decode(errors="replace")


def _match(
    path: str, text: str, rows: Iterable[tuple[str, re.Pattern[str]]], is_known: Callable[[str], bool]
) -> Iterable[Line]:
    rows = list(rows)
    for number, row in enumerate(text.split("\n"), 1):
        line = row.removesuffix("\r")
        if is_known(line):
            yield Line("known", "", number, line)
            continue
        found = next(((key, match) for key, pattern in rows if (match := pattern.fullmatch(line))), None)
        if found is None:
            raise refuse(path, number, line, "a line that builds write")
        key, match = found
        yield Line(key, (match[1] or "") if match.re.groups else "", number, line)


def refuse(path: str, number: int, text: str, allowed: str) -> VerifyError:
    """Return the error for a line."""
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return VerifyError(f"{path} of the image has in line {number}: {shown!r}; allowed: {allowed}", hint=HINT)


def take_one(path: str, lines: Iterable[Line], key: str) -> str:
    """Return the value of the one line of a key; VerifyError for none, and for a second one."""
    found = [line for line in lines if line.key == key]
    if not found:
        raise VerifyError(f"{path} of the image has no line with {key}", hint=HINT)
    if found[1:]:
        raise refuse(path, found[1].number, found[1].text, f"one line with {key}")
    return found[0].value


def refuse_others(tree: Tree, top: str, patterns: Iterable[str], allowed: Container[str], reader: str) -> None:
    """Raise VerifyError for a file that a boot loader would read besides, or in the place of, those that are known.

    top       where the filesystem that it looks into is mounted
    patterns  of paths in that filesystem, in lower case: on a FAT other letters are the same name
    allowed   paths of the system that are known
    reader    what reads such files
    """
    is_one = re.compile("|".join(map(translate, patterns))).match
    for entry in tree.below(top):
        name = entry.path.removeprefix(top).lstrip("/").lower()
        if entry.kind != "directory" and entry.path not in allowed and is_one(name):
            raise VerifyError(f"the image has {entry.path}, which {reader} reads and no build writes", hint=HINT)
