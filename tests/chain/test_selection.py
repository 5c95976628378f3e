# SPDX-License-Identifier: MIT
"""What a run makes is another at each commit, and all has its turn."""

from __future__ import annotations

import pytest

from tests.support.selection import choose_one

NAMES = ("anchor", "boom", "capstan")


@pytest.mark.parametrize("of", [1, 2])
def test_each_name_has_its_turn(of: int) -> None:
    chosen = [choose_one(NAMES, number, turn=turn, of=of) for number in range(6) for turn in range(of)]
    assert {name: chosen.count(name) for name in NAMES} == dict.fromkeys(NAMES, 2)
    assert len([name for name in chosen if name]) == 6, "one for each number"
