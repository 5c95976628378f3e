# SPDX-License-Identifier: MIT
"""Specs that can fail: each way of breaking a good image is found by the spec that should find it, and by no other.

Breakages that cannot hide one another are made together (tests/support/breakage_groups.py). Two copies of the image are
broken, verified and healed at a time, which is as long as one core per copy takes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest

from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.verify.report import Report
from tests.chain.conftest import EPOCH, VERSION, Built
from tests.conftest import ROOT
from tests.support.breakage_groups import GROUPS, Breakage, Found, Group, Red, examine
from tests.support.breakages import BREAKAGES
from tests.support.mutants import Mutant, tool

pytestmark = [pytest.mark.engine, pytest.mark.machine, pytest.mark.slow]

COPIES = 2


@dataclass(frozen=True)
class Verified:
    """What is found, as it comes."""

    good: Future[Report]
    """In the unbroken image."""
    broken: Mapping[Breakage, Future[Found]]
    """By the group of each breakage."""

    def of(self, breakage: Breakage) -> Red:
        """Return what one breakage turned red, by itself."""
        return _red_or_raise(self.broken[breakage].result().alone[breakage])

    def of_all(self, group: Group) -> Red:
        """Return what a group turned red."""
        return _red_or_raise(self.broken[group[0]].result().together)


def _red_or_raise(found: Red | Exception) -> Red:
    if isinstance(found, Exception):
        raise found
    return found


@pytest.fixture(scope="module")
def verified(
    rpi: Built,
    rpi_disk: Path,
    user_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Verified]:
    """What the specs find of the selected breakages; only those are made."""
    mutants = SimpleQueue[Mutant]()
    for _ in range(COPIES):
        mutants.put(make_mutant(rpi_disk, user_data, tmp_path_factory.mktemp("mutant")))

    def verify(group: Group) -> Report:
        mutant = mutants.get()
        try:
            mutant.heal()
            shutil.copyfile(rpi.file(".packages"), mutant.listing)
            mutant.break_by(group)
            return mutant.verify()
        finally:
            mutants.put(mutant)

    groups = find_selected(request.session.items)
    with ThreadPoolExecutor(max_workers=COPIES) as pool:
        unbroken = pool.submit(verify, ())
        found = {group: pool.submit(examine, group, lambda group: red(verify(group))) for group in groups}
        yield Verified(unbroken, {breakage: found[group] for group in groups for breakage in group})
        pool.shutdown(cancel_futures=True)


def find_selected(items: Sequence[pytest.Item]) -> list[Group]:
    """Return the groups without what no selected test asks for."""
    params = [item.callspec.params for item in items if hasattr(item, "callspec")]
    wanted = {each["breakage"] for each in params if "breakage" in each}
    wanted |= {breakage for each in params for breakage in each.get("group", ())}
    parts = (tuple(breakage for breakage in group if breakage in wanted) for group in GROUPS)
    return [part for part in parts if part]


def make_mutant(good: Path, user_data: Path, directory: Path) -> Mutant:
    tool("cp", "--sparse=always", good, directory / "disk.img")
    board = load_board(ROOT / "boards", "rpi")
    plan = make_plan(board, version=VERSION, epoch=int(EPOCH), user_data=user_data)
    return Mutant(good, directory / "disk.img", directory / "disk.packages", directory, plan)


def red(report: Report) -> set[str]:
    return {f"{verdict.file}::{verdict.name}" for verdict in report.failures}


def test_the_unbroken_image_is_all_green(verified: Verified) -> None:
    report = verified.good.result()
    assert red(report) == set()
    assert len(report.verdicts) >= 260
    assert {verdict.outcome for verdict in report.verdicts} == {"passed"}


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
def test_a_breakage_is_found_by_the_spec_that_should(breakage: Breakage, verified: Verified) -> None:
    assert verified.of(breakage) == BREAKAGES[breakage]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0].__name__)
def test_those_made_together_do_not_hide_one_another(group: Group, verified: Verified) -> None:
    assert verified.of_all(group) == set().union(*(BREAKAGES[breakage] for breakage in group))
