# SPDX-License-Identifier: MIT
"""Specs that run beside a build: their end, their log, and that they end with the build."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import ToolError, VerifyError
from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.verify import runner
from builder.verify.runner import VERDICTS, running_specs
from builder.verify.task import Task
from tests.conftest import ROOT
from tests.support.wait import wait_until

VERDICT = '{"file": "x_spec.py", "name": "test_x", "outcome": "passed", "seconds": 0.1}'


@pytest.fixture
def task(tmp_path: Path) -> Task:
    plan = make_plan(load_board(ROOT / "boards", "rpi"), version="1", epoch=0)
    return Task(plan, scratch=str(tmp_path), name="x.img")


def run_instead(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(runner, "_prepare", lambda *_: ["sh", "-c", script])


def test_the_report_has_the_digest_and_the_log_what_was_written(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, f"echo written; echo '{VERDICT}' > {tmp_path / VERDICTS}")
    with running_specs(task, log_file=tmp_path / "log") as finish:
        report = finish("abc")
    assert (report.digest, len(report.verdicts), report.failures) == ("abc", 1, ())
    assert (tmp_path / "log").read_text() == "written\n"


def test_what_the_user_has_for_pytest_is_for_the_users_tests(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--exitfirst")
    run_instead(
        monkeypatch,
        f"echo \"$PYTEST_ADDOPTS|$PYTEST_DISABLE_PLUGIN_AUTOLOAD\"; echo '{VERDICT}' > {tmp_path / VERDICTS}",
    )
    with running_specs(task, log_file=tmp_path / "log") as finish:
        finish("")
    assert (tmp_path / "log").read_text() == "|1\n"


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        ("echo broken; exit 3", ToolError, "the specs ended with exit code 3.*broken"),
        ("echo broken; exit 0", ToolError, "the specs did not run:\nbroken"),
        (f"touch {VERDICTS}", VerifyError, "no spec was run"),
    ],
)
def test_an_end_without_verdicts_is_an_error(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, kind: type[Exception], message: str
) -> None:
    run_instead(monkeypatch, f"cd {tmp_path}; {script}")
    with running_specs(task, log_file=tmp_path / "log") as finish, pytest.raises(kind, match=f"(?s){message}"):
        finish("")


def test_they_end_with_the_block(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, f"echo $$ > {tmp_path / 'pid'}; exec sleep 600")
    with running_specs(task, log_file=tmp_path / "log"):
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", "nothing was started")
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
