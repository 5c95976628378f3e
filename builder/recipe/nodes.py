# SPDX-License-Identifier: MIT
"""A YAML document as a tree of values with their positions.

There are three kinds of node: Scalar, List and Map. A node never changes. `merge_maps` makes a new tree from a parent's
and a child's; every value keeps its file, line and column.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from builder.text import make_line

Steps = tuple[str | int, ...]
"""Path of a value: keys of mappings and indexes of lists, from the root."""


MAX_SHOWN = 60
"""Most characters of a text that a message repeats."""
LONGEST_LINE = 2000
"""Most characters of a message; the longest list of options is shorter."""


@dataclass(frozen=True, order=True)
class Position:
    """A position in a file; line and column count from 1, as in editors."""

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{make_line(str(self.file))}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One mistake and its position."""

    at: Position
    text: str

    def __str__(self) -> str:
        return f"{self.at}: {shorten(self.text, LONGEST_LINE)}"


@dataclass(frozen=True)
class Scalar:
    """A text, number, boolean or null; `text` is its form in the file."""

    at: Position
    value: str | int | float | bool | None
    text: str


@dataclass(frozen=True)
class List:
    """A list."""

    at: Position
    items: tuple[Node, ...]


@dataclass(frozen=True)
class MapEntry:
    """A key's position and its value."""

    at: Position
    node: Node


@dataclass(frozen=True)
class Map:
    """A mapping. `removed` holds the keys that a null removed, for the error about a missing key."""

    at: Position
    entries: dict[str, MapEntry]
    removed: dict[str, Position] = field(default_factory=dict)


Node = Scalar | List | Map


def merge_maps(parent: Map | None, child: Map, problems: list[Problem], path: Steps = ()) -> Map:
    """Return `child` merged over `parent`: mappings merge key by key, null removes a key, anything else replaces it.

    A null that removes nothing is added to `problems`: it is a forgotten value or a misspelt key.
    """
    entries = dict(parent.entries) if parent else {}
    removed = dict(parent.removed) if parent else {}
    for key, entry in child.entries.items():
        if isinstance(entry.node, Scalar) and entry.node.value is None:
            if entries.pop(key, None) is None and key not in removed:
                problems.append(Problem(entry.at, _nothing_to_remove(path, key, parent)))
            removed[key] = entry.at
            continue
        entries[key] = MapEntry(entry.at, _merge_values(entries.get(key), entry.node, problems, (*path, key)))
    return Map(child.at, entries, removed)


def _merge_values(parent: MapEntry | None, child: Node, problems: list[Problem], path: Steps) -> Node:
    if isinstance(child, Map):
        below = parent.node if parent and isinstance(parent.node, Map) else None
        return merge_maps(below, child, problems, path)
    if isinstance(child, List):
        items = (_merge_values(None, item, problems, (*path, index)) for index, item in enumerate(child.items))
        return List(child.at, tuple(items))
    return child


def _nothing_to_remove(path: Steps, key: str, parent: Map | None) -> str:
    meant = suggest(key, parent.entries if parent else ())
    return f"{render_path((*path, key))}: found nothing (null); expected a value, or null for a key of a parent{meant}"


def render_path(path: Steps) -> str:
    """Return a path as text: "table.partitions[1].size"."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{shorten(step)}" for step in path)
    return text.removeprefix(".") or "the recipe"


def shorten(text: str, longest: int = MAX_SHOWN) -> str:
    """Return text, cut to at most `longest` characters."""
    return text if len(text) <= longest else text[: longest - 3] + "…"


def suggest(word: str, options: Iterable[str]) -> str:
    """Return ' (did you mean "packages"?)', or "" if no option is similar."""
    near = difflib.get_close_matches(word, list(options), n=1)
    return f' (did you mean "{near[0]}"?)' if near else ""


def find_node(root: Node, path: Steps) -> tuple[Steps, Node]:
    """Return the node at `path`, or the nearest existing node above it, with the path of that node."""
    node = root
    for depth, step in enumerate(path):
        below = find_child(node, step)
        if below is None:
            return path[:depth], node
        node = below
    return path, node


def find_child(node: Node, step: str | int) -> Node | None:
    """Return the value at a key or an index, or None."""
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
