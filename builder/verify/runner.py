# SPDX-License-Identifier: MIT
"""Run the specs of a task in a separate pytest process and return their report."""

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
"""pytest's exit code for a complete run with failures."""
NOTHING_SELECTED = 5
ENDS = (0, RED, NOTHING_SELECTED)
VERDICTS = "verdicts.jsonl"

LONGEST_S = 900.0
"""Timeout for the specs of an image; those of `rpi` take 7 s."""


def find_specs() -> Path:
    """Return the directory of the specs. A wheel has it in the package, a checkout or builder image beside it."""
    package = Path(builder.__file__).resolve().parent
    candidates = (package.parent / "specs", package / "specs")
    for directory in candidates:
        if (directory / "pytest.ini").is_file():
            return directory
    raise MachineError(
        f"the specs are missing; expected them in {candidates[0]} or {candidates[1]}",
        hint="install boardwright again",
    )


def run_specs(task: Task, *, only: str = "", log_file: Path | None = None, timeout_s: float = LONGEST_S) -> Report:
    """Run the specs of the task's levels and return the report. results.xml stays in the task's scratch directory.

    only       pytest's -k: words in the names of the specs to run
    timeout_s  for the levels offline and chroot; specs of a running system have their own timeouts

    Raises ToolError if the specs cannot be run (for example an import fails), VerifyError if no spec is selected,
    MachineError if the specs are not installed.
    """
    begun = time.monotonic()
    argv = _prepare(task, only)
    longest_s = None if task.running else timeout_s
    result = run(argv, env=_environment(), ok=ENDS, log_file=log_file, timeout_s=longest_s, name="the specs")
    return _make_report(task, only, time.monotonic() - begun, result.stdout + result.stderr)


@contextmanager
def running_specs(task: Task, *, log_file: Path) -> Iterator[Callable[[str], Report]]:
    """Start the specs in the background. Yield a function (digest) → report, which waits for their end.

    The specs are killed at the end of the block. The function raises the errors of `run_specs`.
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
    # The caller's pytest options and plugins are for the caller's tests.
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
    loaded = load_verdicts(verdicts)
    if not loaded:
        raise VerifyError("no spec was run", hint="--only matches no spec; leave it out to run all")
    return Report(task.plan.board, task.plan.version, task.name, task.digest, task.levels, took, loaded, only=only)
