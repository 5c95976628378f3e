# SPDX-License-Identifier: MIT
"""Fixtures of the specs: the image, its plan, the board's recipe, the running system.

Arguments that make one spec of each row (slot, package, user …) are in builder/verify/parametrize.py and specs/data.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from builder.plan.model import Plan
from builder.recipe.model import Recipe
from builder.system.process import Result, run
from builder.verify.facts.image import ImageFacts
from builder.verify.live.containers import Containers
from builder.verify.live.ssh import LiveSystem, Running, open_live_system
from builder.verify.live.system import System
from builder.verify.parametrize import find_traits
from builder.verify.plugin import PLAN, TASK, load_rows
from builder.verify.task import Task

PROBE = Path(__file__).parent / "data/probe.py"


@pytest.fixture(scope="session")
def task(pytestconfig: pytest.Config) -> Task:
    """The input of this run."""
    return pytestconfig.stash[TASK]


@pytest.fixture(scope="session")
def plan(pytestconfig: pytest.Config) -> Plan:
    """The plan that the image must match."""
    return pytestconfig.stash[PLAN]


@pytest.fixture(scope="session")
def board(plan: Plan) -> Recipe:
    """The recipe."""
    return plan.recipe


@pytest.fixture(scope="session")
def image(task: Task, plan: Plan) -> ImageFacts:
    """The image: its disk, its tree, its packages."""
    return ImageFacts(Path(task.image), plan, Path(task.scratch))


@pytest.fixture(scope="session")
def release(plan: Plan) -> dict[str, str]:
    """Values that os-release must have besides Debian's own."""
    return {
        "IMAGE_ID": f"boardwright-{plan.board}",
        "IMAGE_VERSION": plan.version,
        "BOARDWRIGHT_BOARD": plan.board,
        "BOARDWRIGHT_DEVICE": plan.recipe.title,
    }


@pytest.fixture(scope="session")
def listed_packages(task: Task) -> Mapping[str, str]:
    """Versions by name, from the build's list of packages beside the image. Its spec is deselected without a list."""
    rows = [line.split("\t") for line in Path(task.packages).read_text(encoding="utf-8").splitlines()[1:]]
    return {row[0]: row[1] for row in rows}


@pytest.fixture(scope="session")
def data(pytestconfig: pytest.Config, plan: Plan) -> Callable[[str], Mapping[str, Any]]:
    """Rows of a file of specs/data, for specs that need all of them at once."""
    return lambda name: load_rows(pytestconfig.rootpath / "data" / f"{name}.yaml", find_traits(plan))


@pytest.fixture(scope="session")
def call(task: Task) -> Callable[..., Result]:
    """Function that runs a program of the image in its tree and returns the result (level chroot)."""
    environment = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/root"}
    return lambda *argv: run([*task.chroot, *argv], env=environment, ok=range(256), timeout_s=120)


@pytest.fixture(scope="session")
def live(task: Task) -> Iterator[LiveSystem]:
    """The running system: commands, restart, power cut."""
    assert task.running
    with open_live_system(task.running, Path(task.scratch)) as live:
        yield live


@pytest.fixture(scope="session")
def host(live: LiveSystem) -> Host:
    """The running system, for testinfra."""
    return testinfra.get_host(live.reach.url, ssh_extra_args=shlex.join(live.reach.options(live.control)))


@pytest.fixture(scope="session")
def running(task: Task) -> Running:
    """Address of the running system, and facts that its user-data set."""
    assert task.running
    return task.running


@pytest.fixture(scope="session")
def system(live: LiveSystem) -> System:
    """Facts of the running system after its first boot."""
    return System(live)


@pytest.fixture(scope="session")
def containers(live: LiveSystem) -> Iterator[Containers]:
    """Containers on the running system; their image is made there."""
    containers = Containers(live)
    containers.make_image(PROBE)
    yield containers
    containers.remove()


@pytest.fixture(scope="session")
def services(containers: Containers) -> Containers:
    """Two services that compose has started."""
    containers.start_services()
    return containers


@pytest.fixture(scope="session")
def restarted(system: System, services: Containers) -> System:
    """Facts of the system after a clean restart."""
    system.keep_identity()
    system.live.restart()
    return System(system.live)


@pytest.fixture(scope="session")
def recovered(restarted: System) -> System:
    """Facts of the system after a power cut during writes."""
    restarted.keep_identity()
    restarted.live.write_without_end()
    restarted.live.cut_power()
    return System(restarted.live)
