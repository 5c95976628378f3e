# SPDX-License-Identifier: MIT
"""What specs ask: the image, the plan it must match, the board's recipe, the running system.

Arguments that make one spec of each row (slot, package, user …) are in builder/verify/tables.py and specs/data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from builder.plan.model import Plan
from builder.recipe.model import Recipe
from builder.run import Result, run
from builder.verify.plugin import PLAN, TASK, load_rows
from builder.verify.subject import Subject
from builder.verify.tables import find_traits
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
def release(plan: Plan) -> dict[str, str]:
    """What os-release must say of the image itself."""
    return {
        "IMAGE_ID": f"boardwright-{plan.board}",
        "IMAGE_VERSION": plan.version,
        "BOARDWRIGHT_BOARD": plan.board,
        "BOARDWRIGHT_DEVICE": plan.recipe.title,
    }


@pytest.fixture(scope="session")
def listed_packages(task: Task) -> Mapping[str, str]:
    """Versions by name, of the list that the build handed out beside the image. Without one its spec is left out."""
    rows = [line.split("\t") for line in Path(task.packages).read_text(encoding="utf-8").splitlines()[1:]]
    return {row[0]: row[1] for row in rows}


@pytest.fixture(scope="session")
def data(pytestconfig: pytest.Config, plan: Plan) -> Callable[[str], Mapping[str, Any]]:
    """Rows of a file of specs/data, for specs that need all of them at once."""
    return lambda name: load_rows(pytestconfig.rootpath / "data" / f"{name}.yaml", find_traits(plan))


@pytest.fixture(scope="session")
def call(task: Task) -> Callable[..., Result]:
    """Runs a program of the image in its tree, and returns what it said (level chroot)."""
    environment = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/root"}
    return lambda *argv: run([*task.chroot, *argv], env=environment, ok=range(256), timeout_s=120)


@pytest.fixture(scope="session")
def host(task: Task) -> Host:
    """The running system, asked through testinfra."""
    return testinfra.get_host(task.host, **task.host_options)
