# SPDX-License-Identifier: MIT
"""Make a treemap: groups of items as rectangles with areas proportional to their sizes (squarified; Bruls, Huizing,
van Wijk)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from squarify import normalize_sizes, squarify

GAP = 1.5
"""Gap between groups, in units of the picture."""
TITLE = 15.0
"""Height of the line with a group's name."""
LETTER = 6.2
"""Approximate width of a character in the small font."""


@dataclass(frozen=True)
class Cell:
    """An item with a size."""

    name: str
    size: int


@dataclass(frozen=True)
class Box:
    """A rectangle with its label."""

    x: float
    y: float
    width: float
    height: float
    name: str
    size: int
    label: str
    """The name, cut to the width; empty without space."""


@dataclass(frozen=True)
class TreemapGroup:
    """A rectangle with the rectangles inside."""

    box: Box
    cells: tuple[Box, ...]


def make_treemap(groups: Mapping[str, Sequence[Cell]], *, width: float, height: float) -> tuple[TreemapGroup, ...]:
    """Return the rectangles of groups and their items, largest first. Items without a size are left out."""
    sized = {name: [cell for cell in cells if cell.size > 0] for name, cells in groups.items()}
    totals = [Cell(name, sum(cell.size for cell in cells)) for name, cells in sized.items() if cells]
    return tuple(
        TreemapGroup(
            box, tuple(_place(sized[box.name], (box.x + 1, box.y + TITLE, box.width - 2, box.height - TITLE - 1)))
        )
        for box in _place(totals, (0, 0, width, height), gap=GAP)
    )


def _place(cells: Sequence[Cell], area: tuple[float, float, float, float], gap: float = 0.9) -> list[Box]:
    x, y, width, height = area
    if width < 3 or height < 3:
        return []
    ordered = sorted(cells, key=lambda cell: (-cell.size, cell.name))
    sizes = normalize_sizes([cell.size for cell in ordered], width, height)
    placed = zip(ordered, squarify(sizes, x, y, width, height), strict=True)
    return [
        _make_box(cell, at["x"], at["y"], max(at["dx"] - gap, 0.1), max(at["dy"] - gap, 0.1)) for cell, at in placed
    ]


def _make_box(cell: Cell, x: float, y: float, width: float, height: float) -> Box:
    letters = int((width - 4) / LETTER)
    fits = len(cell.name) <= letters
    label = "" if height < 11 or (letters < 4 and not fits) else cell.name if fits else f"{cell.name[: letters - 1]}…"
    return Box(round(x, 2), round(y, 2), round(width, 2), round(height, 2), cell.name, cell.size, label)
