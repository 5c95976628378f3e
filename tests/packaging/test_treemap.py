# SPDX-License-Identifier: MIT
"""Treemaps: everything has its area, nothing lies over another, and no label is wider than its box."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.packaging.treemap import GAP, LETTER, Box, Cell, make_treemap

SIZES = st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.integers(0, 10**9), max_size=20), max_size=8)


def overlap(one: Box, other: Box) -> bool:
    apart = one.x + one.width <= other.x + 0.02 or other.x + other.width <= one.x + 0.02
    return not (apart or one.y + one.height <= other.y + 0.02 or other.y + other.height <= one.y + 0.02)


@given(sizes=SIZES)
def test_boxes_lie_side_by_side_inside_the_picture(sizes: dict[str, list[int]]) -> None:
    groups = {name: [Cell(f"{name}{n}", size) for n, size in enumerate(row)] for name, row in sizes.items()}
    made = make_treemap(groups, width=900, height=500)
    assert {group.box.name for group in made} == {name for name, row in sizes.items() if any(row)}
    boxes = [group.box for group in made]
    assert not [(a, b) for n, a in enumerate(boxes) for b in boxes[n + 1 :] if overlap(a, b)]
    for box in (*boxes, *(cell for group in made for cell in group.cells)):
        assert -0.02 <= box.x <= box.x + box.width <= 900.2
        assert len(box.label) * LETTER <= box.width


def test_areas_are_sizes() -> None:
    big, small = make_treemap({"a": [Cell("x", 300)], "b": [Cell("y", 100)]}, width=400, height=100)
    assert (big.box.width + GAP) / (small.box.width + GAP) == pytest.approx(3)
    assert big.cells[0].label == "x"
