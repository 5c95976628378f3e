# SPDX-License-Identifier: MIT
"""Runs the specs on a task, in a process of pytest's own, and returns what they found."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import builder
from builder.errors import MachineError, ToolError, VerifyError
from builder.run import run
from builder.verify.report import Report, load_verdicts
from builder.verify.task import Task

RED = 1
"""pytest's exit code when it ran to its end and something failed."""
NOTHING_SELECTED = 5


def find_specs() -> Path:
    """Return the directory of the specs: beside the package in a checkout and the builder image, in it in a wheel."""
    package = Path(builder.__file__).resolve().parent
    places = (package.parent / "specs", package / "specs")
    for place in places:
        if (place / "pytest.ini").is_file():
            return place
    raise MachineError(f"the specs are missing: neither {places[0]} nor {places[1]} has them", hint="install again")


def run_specs(task: Task, *, only: str = "", log_file: Path | None = None, timeout_s: float | None = None) -> Report:
    """Run the specs of the task's levels and return the report; results.xml is left in its scratch directory.

    only  pytest's -k: a part of the specs, by words of their names

    Raises ToolError when the specs could not be run (one of them cannot be imported), VerifyError when none was for
    the image, MachineError without specs.
    """
    scratch, specs = Path(task.scratch), find_specs()
    verdicts = scratch / "verdicts.jsonl"
    task.write(scratch / "task.json")
    begun = time.monotonic()
    result = run(
        [
            *(sys.executable, "-m", "pytest", "-c", specs / "pytest.ini", "--rootdir", specs),
            *("--task", scratch / "task.json", "--verdicts", verdicts),
            *(f"--junitxml={scratch / 'results.xml'}", f"--basetemp={scratch / 'pytest'}"),
            *(["-k", only] if only else []),
            specs,
        ],
        # pytest's own options of the caller's shell are for the caller's tests.
        env={
            "PYTHONPATH": _python_path(),
            "PYTEST_ADDOPTS": "",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        },
        ok=(0, RED, NOTHING_SELECTED),
        log_file=log_file,
        timeout_s=timeout_s,
    )
    if not verdicts.exists():
        raise ToolError(f"the specs did not run:\n{(result.stdout + result.stderr).strip()}")
    found = load_verdicts(verdicts)
    if not found:
        raise VerifyError("no spec was run", hint="the words of --only match no spec; leave it out to run all")
    took = time.monotonic() - begun
    return Report(task.board, task.version, task.name, task.digest, task.levels, took, found, only=only)


def _python_path() -> str:
    """Let the process find this very package, however it was found here."""
    here = str(Path(builder.__file__).resolve().parents[1])
    return os.pathsep.join(dict.fromkeys([here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
