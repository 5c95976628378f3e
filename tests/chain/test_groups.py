# SPDX-License-Identifier: MIT
"""Breakages that are made together: none is left out, none can hide behind another, and a failure names the one."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.support.breakage_groups import ALONE, GROUPS, Breakage, Group, Red, examine, make_groups
from tests.support.breakages import BREAKAGES
from tests.support.mutants import Mutant


def first(_: Mutant) -> None: ...


def second(_: Mutant) -> None: ...


def third(_: Mutant) -> None: ...


EXPECTED: dict[Breakage, Red] = {first: {"a.py::x", "b.py::x"}, second: {"c.py::x"}, third: {"c.py::y"}}
TOGETHER: Group = (first, second)


def test_every_breakage_is_in_exactly_one_group() -> None:
    together = [breakage for group in GROUPS for breakage in group]
    assert len(together) == len(set(together)) == len(BREAKAGES)
    assert set(together) == set(BREAKAGES)
    assert len(GROUPS) <= len(BREAKAGES) // 3


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0].__name__)
def test_those_of_a_group_are_found_by_specs_of_different_files(group: Group) -> None:
    for one, other in combinations(group, 2):
        assert BREAKAGES[one].isdisjoint(BREAKAGES[other])
        files = [{spec.partition("::")[0] for spec in BREAKAGES[breakage]} for breakage in (one, other)]
        assert files[0].isdisjoint(files[1])


def test_what_damages_a_filesystem_stays_alone() -> None:
    assert [group for group in GROUPS if set(group) & set(ALONE)] == [
        (breakage,) for breakage in BREAKAGES if breakage in ALONE
    ]


def test_specs_of_one_file_are_not_asked_twice_by_a_group() -> None:
    assert make_groups([first, second, third], EXPECTED) == [(second, first), (third,)]


def test_as_expected_it_takes_one_look() -> None:
    looks: list[Group] = []

    def verify(group: Group) -> Red:
        looks.append(group)
        return set().union(*(EXPECTED[breakage] for breakage in group))

    found = examine(TOGETHER, verify, EXPECTED)
    assert looks == [TOGETHER]
    assert found.alone == {first: EXPECTED[first], second: EXPECTED[second]}


@pytest.mark.parametrize("wrong", [set(), {"c.py::x", "d.py::other"}, {"b.py::x"}])
def test_a_failure_names_the_one(wrong: Red) -> None:
    """It is not found at all, by one spec more, or by another's."""
    red: dict[Breakage, Red] = {first: EXPECTED[first], second: wrong}
    found = examine(TOGETHER, lambda group: set().union(*(red[breakage] for breakage in group)), EXPECTED)
    assert found.together != EXPECTED[first] | EXPECTED[second]
    assert found.alone == red


def test_those_that_hide_one_another_fail_together_only() -> None:
    found = examine(TOGETHER, lambda group: EXPECTED[group[0]], EXPECTED)
    assert found.together == EXPECTED[first]
    assert found.alone == {first: EXPECTED[first], second: EXPECTED[second]}


def test_one_that_cannot_be_made_does_not_keep_the_others() -> None:
    def verify(group: Group) -> Red:
        assert second not in group, "no such file"
        return EXPECTED[group[0]]

    found = examine(TOGETHER, verify, EXPECTED)
    assert isinstance(found.together, AssertionError)
    assert found.alone[first] == EXPECTED[first]
    assert isinstance(found.alone[second], AssertionError)
