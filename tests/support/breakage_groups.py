# SPDX-License-Identifier: MIT
"""Breakages that are made together, so that one look at the image proves several, and how each is told from the others.

Specs read the whole image each time, which takes longer than any breakage. So those that cannot hide one another are
made at once, and all that turns red must be exactly what they are to turn red, together. Where it is not, each is made
alone, so that a failure names the one.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from tests.support.breakages import (
    BREAKAGES,
    damage_the_boot_filesystem,
    damage_the_root_filesystem,
    fill_the_root_filesystem,
)
from tests.support.mutants import Mutant

Breakage = Callable[[Mutant], None]
Group = tuple[Breakage, ...]
Red = set[str]

ALONE: Collection[Breakage] = (damage_the_root_filesystem, damage_the_boot_filesystem, fill_the_root_filesystem)
"""Any other change of the same filesystem might be what turns the same spec red."""


def make_groups(breakages: Sequence[Breakage], expected: Mapping[Breakage, Red] = BREAKAGES) -> list[Group]:
    """Return groups of breakages, each breakage in one of them, as few as that takes.

    The specs that find those of a group lie in different files: what makes one spec of a file red may make its
    neighbours red too, which look at the same thing, and would then stand for the breakage that should have.
    """
    groups: list[list[Breakage]] = []
    counts = Counter(file for breakage in breakages for file in _find_files(expected[breakage]))
    for breakage in sorted(breakages, key=lambda each: -max(counts[file] for file in _find_files(expected[each]))):
        files = _find_files(expected[breakage])
        free = [group for group in groups if all(_may_join(other, files, expected) for other in group)]
        if free and breakage not in ALONE:
            min(free, key=len).append(breakage)
        else:
            groups.append([breakage])
    return [tuple(group) for group in groups]


def _may_join(other: Breakage, files: set[str], expected: Mapping[Breakage, Red]) -> bool:
    return other not in ALONE and _find_files(expected[other]).isdisjoint(files)


def _find_files(specs: Red) -> set[str]:
    return {spec.partition("::")[0] for spec in specs}


GROUPS = make_groups(list(BREAKAGES))


@dataclass(frozen=True)
class Found:
    """What turned red."""

    together: Red | Exception
    """By all of the group at once."""
    alone: Mapping[Breakage, Red | Exception]
    """By each; as expected where all together did what they are expected to do."""


def examine(group: Group, verify: Callable[[Group], Red], expected: Mapping[Breakage, Red] = BREAKAGES) -> Found:
    """Make the breakages of a group together; where not exactly the expected turns red, each alone too.

    verify  make some breakages on a good image, and return the specs that turn red
    """
    together = _try(verify, group)
    if together == set().union(*(expected[breakage] for breakage in group)):
        return Found(together, {breakage: expected[breakage] for breakage in group})
    if len(group) == 1:
        return Found(together, {group[0]: together})
    return Found(together, {breakage: _try(verify, (breakage,)) for breakage in group})


def _try(verify: Callable[[Group], Red], group: Group) -> Red | Exception:
    try:
        return verify(group)
    except (AssertionError, subprocess.CalledProcessError) as error:  # It could not be made.
        return error
