# SPDX-License-Identifier: MIT
"""Runs the specs on a task, in a process of pytest's own, and returns what they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import builder
from builder.errors import MachineError, ToolError, VerifyError, disk_full_as_space_error
from builder.system.own_module import own_environment, own_module
from builder.system.process import Result, failure, run, running, wait_for
from builder.verify.report import Report, load_verdicts
from builder.verify.task import Task

RED = 1
"""pytest's exit code when it ran to its end and something failed."""
NOTHING_SELECTED = 5
ENDS = (0, RED, NOTHING_SELECTED)
VERDICTS = "verdicts.jsonl"

LONGEST_S = 900.0
"""For the specs of an image; those of `rpi` take 7 s."""


def find_specs() -> Path:
    """Return the directory of the specs: beside the package in a checkout and the builder image, in it in a wheel."""
    package = Path(builder.__file__).resolve().parent
    places = (package.parent / "specs", package / "specs")
    for place in places:
        if (place / "pytest.ini").is_file():
            return place
    raise MachineError(f"the specs are missing: neither {places[0]} nor {places[1]} has them", hint="install again")


def run_specs(task: Task, *, only: str = "", log_file: Path | None = None, timeout_s: float = LONGEST_S) -> Report:
    """Run the specs of the task's levels and return the report; results.xml is left in its scratch directory.

    only       pytest's -k: a part of the specs, by words of their names
    timeout_s  of levels that start no system; what asks a running one has limits of its own

    Raises ToolError when the specs could not be run (one of them cannot be imported), VerifyError when none was for
    the image, MachineError without specs.
    """
    begun = time.monotonic()
    argv = _prepare(task, only)
    longest_s = None if task.running else timeout_s
    result = run(argv, env=_environment(), ok=ENDS, log_file=log_file, timeout_s=longest_s, name="the specs")
    return _make_report(task, only, time.monotonic() - begun, result.stdout + result.stderr)


@contextmanager
def running_specs(task: Task, *, log_file: Path) -> Iterator[Callable[[str], Report]]:
    """Start the specs beside this process and yield a function that waits for their end, (digest): the report. They
    are ended with the block.

    The function raises what `run_specs` raises.
    """
    begun, output = time.monotonic(), Path(task.scratch) / "output"
    with running(["env", *_render_environment(), *_prepare(task, "")], output=output) as process:

        def finish(digest: str) -> Report:
            code = wait_for(process, LONGEST_S, "the specs")
            text = output.read_text(encoding="utf-8", errors="replace")
            with disk_full_as_space_error(log_file), log_file.open("a", encoding="utf-8") as stream:
                stream.write(text)
            if code not in ENDS:
                raise failure(Result(("pytest",), code, text, ""), log_file, name="the specs")
            return _make_report(replace(task, digest=digest), "", time.monotonic() - begun, text)

        yield finish


def _prepare(task: Task, only: str) -> list[str | Path]:
    scratch, specs = Path(task.scratch), find_specs()
    task.write(scratch / "task.json")
    return [
        *own_module("pytest"),
        *("-c", specs / "pytest.ini", "--rootdir", specs),
        *("--task", scratch / "task.json", "--verdicts", scratch / VERDICTS),
        *(f"--junitxml={scratch / 'results.xml'}", f"--basetemp={scratch / 'pytest'}"),
        *(["-k", only] if only else []),
        specs,
    ]


def _environment() -> dict[str, str]:
    # pytest's own options and plugins of the caller are for the caller's tests.
    return {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **own_environment(),
        "PYTEST_ADDOPTS": "",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _render_environment() -> list[str]:
    return [f"{name}={value}" for name, value in _environment().items()]


def _make_report(task: Task, only: str, took: float, output: str) -> Report:
    verdicts = Path(task.scratch) / VERDICTS
    if not verdicts.exists():
        raise ToolError(f"the specs did not run:\n{output.strip()}")
    found = load_verdicts(verdicts)
    if not found:
        raise VerifyError("no spec was run", hint="the words of --only match no spec; leave it out to run all")
    return Report(task.plan.board, task.plan.version, task.name, task.digest, task.levels, took, found, only=only)
