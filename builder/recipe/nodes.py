# SPDX-License-Identifier: MIT
"""A YAML document as a tree of values that know where they were written.

Three kinds of node: Scalar, List and Map. A node never changes; `merge_maps` makes a new tree out of a parent's and
a child's, in which every value keeps the file, line and column that said it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from builder.text import make_line

Steps = tuple[str | int, ...]
"""Where a value is: keys of mappings and indexes of lists, from the root."""


MAX_SHOWN = 60
"""Characters of a text that a message repeats."""
LONGEST_LINE = 2000
"""Characters of a message: more than the longest list of what is allowed has."""


@dataclass(frozen=True, order=True)
class Position:
    """A place in a file, counted from 1 as editors do."""

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{make_line(str(self.file))}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where."""

    at: Position
    text: str

    def __str__(self) -> str:
        return f"{self.at}: {shorten(self.text, LONGEST_LINE)}"


@dataclass(frozen=True)
class Scalar:
    """A text, number, boolean or nothing; `text` is how it was written."""

    at: Position
    value: str | int | float | bool | None
    text: str


@dataclass(frozen=True)
class List:
    """A list."""

    at: Position
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Entry:
    """A key's position and its value."""

    at: Position
    node: Node


@dataclass(frozen=True)
class Map:
    """A mapping. `removed` holds the keys that a null took away, for better words about a missing one."""

    at: Position
    entries: dict[str, Entry]
    removed: dict[str, Position] = field(default_factory=dict)


Node = Scalar | List | Map


def merge_maps(parent: Map | None, child: Map, problems: list[Problem], path: Steps = ()) -> Map:
    """Return `child` laid over `parent`: mappings merge key by key, null removes a key, anything else replaces it.

    A null that removes nothing goes to `problems`: it is an empty value left behind or a misspelt key.
    """
    entries = dict(parent.entries) if parent else {}
    removed = dict(parent.removed) if parent else {}
    for key, entry in child.entries.items():
        if isinstance(entry.node, Scalar) and entry.node.value is None:
            if entries.pop(key, None) is None and key not in removed:
                problems.append(Problem(entry.at, _nothing_to_remove(path, key, parent)))
            removed[key] = entry.at
            continue
        entries[key] = Entry(entry.at, _merge_values(entries.get(key), entry.node, problems, (*path, key)))
    return Map(child.at, entries, removed)


def _merge_values(parent: Entry | None, child: Node, problems: list[Problem], path: Steps) -> Node:
    if isinstance(child, Map):
        below = parent.node if parent and isinstance(parent.node, Map) else None
        return merge_maps(below, child, problems, path)
    if isinstance(child, List):
        items = (_merge_values(None, item, problems, (*path, index)) for index, item in enumerate(child.items))
        return List(child.at, tuple(items))
    return child


def _nothing_to_remove(path: Steps, key: str, parent: Map | None) -> str:
    nothing = f"{render_path((*path, key))}: found nothing (null), which removes a key of the parent"
    meant = suggest(key, parent.entries if parent else ())
    return f"{nothing}, but no parent says it; write a value or take the line out{meant}"


def render_path(path: Steps) -> str:
    """Return "table.partitions[1].size"."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{shorten(step)}" for step in path)
    return text.removeprefix(".") or "the recipe"


def shorten(text: str, longest: int = MAX_SHOWN) -> str:
    """Return text as a sentence can hold it."""
    return text if len(text) <= longest else text[: longest - 3] + "…"


def suggest(word: str, options: Iterable[str]) -> str:
    """Return ' (did you mean "packages"?)', or nothing when no option is near."""
    near = difflib.get_close_matches(word, list(options), n=1)
    return f' (did you mean "{near[0]}"?)' if near else ""


def find_node(root: Node, path: Steps) -> tuple[Steps, Node]:
    """Return the node at `path`, or the nearest that exists above it, and the path of that one."""
    node = root
    for depth, step in enumerate(path):
        below = find_child(node, step)
        if below is None:
            return path[:depth], node
        node = below
    return path, node


def find_child(node: Node, step: str | int) -> Node | None:
    """Return the value of a key or an index, or None."""
    if isinstance(node, Map) and isinstance(step, str):
        return node.entries[step].node if step in node.entries else None
    if isinstance(node, List) and isinstance(step, int):
        return node.items[step] if step < len(node.items) else None
    return None


def plain_value(node: Node) -> object:
    """Return the tree as dicts, lists and scalars, without positions."""
    if isinstance(node, Map):
        return {key: plain_value(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, List):
        return [plain_value(item) for item in node.items]
    return node.value
