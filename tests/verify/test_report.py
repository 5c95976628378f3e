# SPDX-License-Identifier: MIT
"""What a run of the specs found, told to people and to programs."""

from __future__ import annotations

import json
from io import StringIO
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from builder.errors import VerifyError
from builder.verify.plugin import make_verdict
from builder.verify.report import Report, Verdict, check_report, render_json, render_report

GREEN = Verdict("disk_spec.py", "test_the_table_is_sound", "passed", 0.1)
RED = Verdict("boot_spec.py", "test_a_file_is_there[start4.elf]", "failed", 0.2, "there is no start4.elf\nassert False")


def make_report(*verdicts: Verdict) -> Report:
    return Report("rpi", "1.0", "boardwright-rpi-1.0.img.zst", "ab" * 32, ("offline",), 1.5, verdicts)


def rendered(report: Report) -> str:
    stream = StringIO()
    Console(file=stream, width=120).print(render_report(report))
    return stream.getvalue()


def test_a_report_counts_by_file_and_shows_every_failure_as_a_sentence() -> None:
    text = rendered(make_report(GREEN, RED))
    assert "board rpi, version 1.0" in text
    assert "ab" * 32 in text
    assert "a file is there (start4.elf)" in text
    assert "there is no start4.elf" in text
    assert "2 specs, 1 red" in text


def test_a_green_report_is_no_error() -> None:
    report = make_report(GREEN)
    check_report(report)
    assert "1 specs, all green" in rendered(report)


def test_a_red_report_is_an_error_that_names_board_version_and_spec() -> None:
    with pytest.raises(VerifyError, match=r"rpi.*1\.0(.|\n)*boot_spec\.py: a file is there \(start4\.elf\)"):
        check_report(make_report(GREEN, RED))


def test_an_error_does_not_name_a_hundred_failures() -> None:
    with pytest.raises(VerifyError, match="and 8 more"):
        check_report(make_report(*[RED] * 20))


def test_programs_get_every_verdict() -> None:
    data = json.loads(render_json(make_report(GREEN, RED)))
    assert data["passed"] is False
    assert [row["outcome"] for row in data["verdicts"]] == ["passed", "failed"]


def test_a_key_that_is_not_there_is_a_sentence() -> None:
    crash = SimpleNamespace(reprcrash=SimpleNamespace(message="KeyError: 'adm'"))
    report = SimpleNamespace(
        nodeid="a_spec.py::test_x",
        longrepr=crash,
        longreprtext="x",
        passed=False,
        failed=True,
        outcome="failed",
        duration=1,
    )
    assert make_verdict(cast(pytest.TestReport, report)).message == "there is no 'adm'"
