# SPDX-License-Identifier: MIT
"""Specs that can fail: each way of breaking a good image is found by the spec that should find it, and by no other.

Two copies of the image are broken, verified and healed at a time, which is as long as one core per copy takes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.verify.report import Report
from tests.chain.breakages import BREAKAGES
from tests.chain.conftest import EPOCH, VERSION, Built
from tests.chain.mutants import Mutant, tool
from tests.conftest import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.machine, pytest.mark.slow]

COPIES = 2
Breakage = Callable[[Mutant], None]
Verified = dict[Breakage | None, Future[Report]]


@pytest.fixture(scope="module")
def verified(
    rpi: Built, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Verified]:
    """Reports of the selected breakages as they come; that of None is of the unbroken image."""
    good = tmp_path_factory.mktemp("good") / "good.img"
    tool("zstd", "--quiet", "--decompress", "--sparse", rpi.file(".img.zst"), "-o", good)
    mutants = SimpleQueue[Mutant]()
    for _ in range(COPIES):
        mutants.put(make_mutant(good, tmp_path_factory.mktemp("mutant")))

    def verify(breakage: Breakage | None) -> Report:
        mutant = mutants.get()
        try:
            mutant.heal()
            shutil.copyfile(rpi.file(".packages"), mutant.listing)
            if breakage:
                breakage(mutant)
            return mutant.verify()
        finally:
            mutants.put(mutant)

    selected = [item.callspec.params.get("breakage") for item in request.session.items if hasattr(item, "callspec")]
    wanted = [None, *(breakage for breakage in BREAKAGES if breakage in selected)]
    with ThreadPoolExecutor(max_workers=COPIES) as pool:
        yield {breakage: pool.submit(verify, breakage) for breakage in wanted}
        pool.shutdown(cancel_futures=True)


def make_mutant(good: Path, directory: Path) -> Mutant:
    tool("cp", "--sparse=always", good, directory / "disk.img")
    plan = make_plan(load_board(ROOT / "boards", "rpi"), version=VERSION, epoch=int(EPOCH))
    return Mutant(good, directory / "disk.img", directory / "disk.packages", directory, plan)


def red(report: Report) -> set[str]:
    return {f"{verdict.file}::{verdict.name}" for verdict in report.failures}


def test_the_unbroken_image_is_all_green(verified: Verified) -> None:
    report = verified[None].result()
    assert red(report) == set()
    assert len(report.verdicts) >= 260
    assert {verdict.outcome for verdict in report.verdicts} == {"passed"}


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
def test_a_breakage_is_found_by_the_spec_that_should(breakage: Breakage, verified: Verified) -> None:
    assert red(verified[breakage].result()) == BREAKAGES[breakage]
