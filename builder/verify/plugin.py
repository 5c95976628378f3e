# SPDX-License-Identifier: MIT
"""The pytest plugin of the specs: load the task, select and parametrize specs, record verdicts.

- `level("chroot")` and `needs("wifi")` limit a spec to a level or trait. Other specs are deselected, not skipped.
- An argument named like a table of the plan (TABLES) or like a file of specs/data makes one spec of each row.
"""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from builder.plan.model import Plan
from builder.units import GIB
from builder.verify.parametrize import TABLES, find_traits
from builder.verify.report import Verdict
from builder.verify.task import Task, read_task

MEMORY_BYTES = 3 * GIB
"""Limit of the address space. The specs of the largest board take 0.3 GiB, an initrd up to 0.5 GiB more."""
LONGEST = 100_000
"""Limit of a message in characters; content of an image can be of any length."""
LEVELS = ("offline", "chroot", "booted")
STARTS = ("restarted", "recovered")
"""Fixtures that start the system again, in the order of their use."""
TASK = pytest.StashKey[Task]()
PLAN = pytest.StashKey[Plan]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for the task file and the file of verdicts."""
    parser.addoption("--task", type=Path, help="task file, written by boardwright verify")
    parser.addoption("--verdicts", type=Path, help="output file for verdicts, one JSON object per line")


def pytest_configure(config: pytest.Config) -> None:
    """Load the task with its plan."""
    path = config.getoption("--task")
    if path is None:
        raise pytest.UsageError("--task is missing; expected --task FILE, which `boardwright verify` writes")
    config.stash[TASK] = task = read_task(path)
    if not task.running:  # With a running system, this process may start QEMU, which needs its machine's memory.
        limit_memory()
    config.stash[PLAN] = config.stash[TASK].plan
    if verdicts := config.getoption("--verdicts"):
        config.pluginmanager.register(Recorder(verdicts))


def limit_memory() -> None:
    """Limit memory, so that a spec that needs too much fails and the machine does not."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one spec of each row of the tables that a spec has as arguments."""
    plan, data = metafunc.config.stash[PLAN], metafunc.config.rootpath / "data"
    given = {name for mark in metafunc.definition.iter_markers("parametrize") for name in _argnames(mark)}
    for name in metafunc.fixturenames:
        if name in given:
            continue
        if name in TABLES:
            rows = TABLES[name](plan)
            metafunc.parametrize(name, list(rows.values()), ids=list(rows))
        elif (data / f"{name}.yaml").is_file():
            values = load_rows(data / f"{name}.yaml", find_traits(plan))
            metafunc.parametrize(name, list(values.values()), ids=list(values))


def _argnames(mark: pytest.Mark) -> list[str]:
    names = mark.args[0]
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)


def load_rows(path: Path, traits: Iterable[str]) -> Mapping[str, Any]:
    """Return the rows of a data file by name. The file has a list, or groups for boards with traits (`wifi`, `arm64`).

    A group's name is a list of traits, separated by spaces; a board must have all of them. `all` is for every board.
    """
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    groups = content if isinstance(content, dict) else {"all": content}
    known = {"all", *traits}
    rows = [row for group, rows in groups.items() if set(group.split()) <= known for row in rows]
    return {str(row["name"]) if isinstance(row, dict) else str(row): row for row in rows}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the specs for other levels and other boards."""
    task = config.stash[TASK]
    traits = find_traits(config.stash[PLAN]) | (task.running.traits if task.running else frozenset())
    kept: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (kept if _is_for(item, task, traits) else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = sorted(kept, key=_turn)


def _turn(item: pytest.Item) -> int:
    """Return the sort key: specs of the first boot, then of the restarted system, then after the power cut."""
    names = getattr(item, "fixturenames", ())
    return max((turn for turn, name in enumerate(STARTS, 1) if name in names), default=0)


def _is_for(item: pytest.Item, task: Task, traits: frozenset[str]) -> bool:
    level = item.get_closest_marker("level")
    needs = {need for mark in item.iter_markers("needs") for need in mark.args}
    callspec = getattr(item, "callspec", None)
    has_rows = callspec is None or all(not _is_empty(value) for value in callspec.params.values())
    has_list = bool(task.packages) or "listed_packages" not in getattr(item, "fixturenames", ())
    return (level.args[0] if level else LEVELS[0]) in task.levels and needs <= traits and has_rows and has_list


def _is_empty(value: object) -> bool:
    """Return whether a table has no row: pytest then gives a special value as parameter."""
    return type(value).__name__ == "NotSetType"


class Recorder:
    """Writer of verdicts. It writes each as its spec ends, so a killed run loses none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_sessionstart(self) -> None:
        """Start with an empty file."""
        self._path.write_text("", encoding="utf-8")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Any:
        """Write the verdict of a spec that has ended."""
        report: pytest.TestReport = yield
        if report.when == "call" or not report.passed:
            if report.when == "teardown":
                return report
            verdict = make_verdict(report)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(verdict)) + "\n")
        return report


def make_verdict(report: pytest.TestReport) -> Verdict:
    """Return the verdict of a spec that ran, or whose setup failed."""
    file, _, name = report.nodeid.partition("::")
    crash = getattr(report.longrepr, "reprcrash", None)
    message = "" if report.passed else str(crash.message if crash else report.longreprtext)
    return Verdict(
        file=Path(file).name,
        name=name,
        outcome=report.outcome,
        seconds=report.duration,
        message=re.sub(r"^KeyError: ", "there is no ", message.removeprefix("AssertionError: "))[:LONGEST],
        details=report.longreprtext[:LONGEST] if report.failed else "",
    )
