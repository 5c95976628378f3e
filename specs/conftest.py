# SPDX-License-Identifier: MIT
"""What specs ask: the image, the plan it must match, the board's recipe, the running system.

Arguments that make one spec of each row (slot, package, user …) are in builder/verify/tables.py and specs/data.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from builder.plan.model import Plan
from builder.recipe.model import Recipe
from builder.verify.plugin import PLAN, TASK
from builder.verify.subject import Subject
from builder.verify.task import Task


@pytest.fixture(scope="session")
def task(pytestconfig: pytest.Config) -> Task:
    """What this run is about."""
    return pytestconfig.stash[TASK]


@pytest.fixture(scope="session")
def plan(pytestconfig: pytest.Config) -> Plan:
    """Every decision the image must match."""
    return pytestconfig.stash[PLAN]


@pytest.fixture(scope="session")
def board(plan: Plan) -> Recipe:
    """The recipe."""
    return plan.recipe


@pytest.fixture(scope="session")
def image(task: Task, plan: Plan) -> Subject:
    """The image: its disk, its tree, its packages."""
    return Subject(Path(task.image), plan, Path(task.scratch))


@pytest.fixture(scope="session")
def host(task: Task) -> Host:
    """The running system, asked through testinfra."""
    return testinfra.get_host(task.host, **task.host_options)
