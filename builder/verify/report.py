# SPDX-License-Identifier: MIT
"""Results of the specs, as values, as a table for a terminal, as JSON. pytest itself writes JUnit XML."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.text import Text

from builder.errors import VerifyError
from builder.text import TextTable, make_sentence

SHOWN = 12
"""Failures that an error message lists; the report has all of them."""


@dataclass(frozen=True)
class Verdict:
    """Result of one spec."""

    file: str
    """"boot_spec.py"."""
    name: str
    """Name of the test function, with its parameter in brackets."""
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    message: str = ""
    """The difference that was found, in a few lines."""
    details: str = ""
    """pytest's full text about the failure."""

    @property
    def sentence(self) -> str:
        """The spec's name as a sentence."""
        return make_sentence(self.name)


@dataclass(frozen=True)
class Report:
    """Result of a run of the specs."""

    board: str
    version: str
    image: str
    digest: str
    levels: tuple[str, ...]
    seconds: float
    verdicts: tuple[Verdict, ...]
    only: str = ""
    """Words that selected the specs; "" if all were run."""

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """Verdicts of the failed specs."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome == "failed")

    @property
    def summary(self) -> str:
        """Counts and duration, in one line."""
        red = len(self.failures)
        return f"{len(self.verdicts)} specs, {f'{red} red' if red else 'all green'}, in {self.seconds:.1f} s"


def check_report(report: Report, *, hint: str = "") -> None:
    """Raise VerifyError that lists the first failed specs, unless all passed."""
    if not report.failures:
        return
    lines = [f"  {red.file}: {red.sentence}\n    {_first_line(red.message)}" for red in report.failures[:SHOWN]]
    more = len(report.failures) - SHOWN
    rest = [f"  and {more} more"] if more > 0 else []
    head = f"{report.image} (board {report.board}, version {report.version}) failed its specs: {report.summary}"
    raise VerifyError("\n".join([head, *lines, *rest]), hint=hint)


def render_report(report: Report) -> RenderableType:
    """Return the report for a terminal: the image, one row for each spec file, all failures."""
    facts = f"{report.image}: board {report.board}, version {report.version}, levels {', '.join(report.levels)}"
    table = TextTable()
    table.add_column("Specs", overflow="fold")
    for column in ("green", "red", "seconds"):
        table.add_column(column, justify="right", header_style="dim")
    for file in sorted({verdict.file for verdict in report.verdicts}):
        verdicts = [verdict for verdict in report.verdicts if verdict.file == file]
        count = Counter(verdict.outcome for verdict in verdicts)
        red = Text(str(count["failed"]), style="bold red") if count["failed"] else Text("")
        table.add_row(file, str(count["passed"]), red, f"{sum(verdict.seconds for verdict in verdicts):.1f}")
    parts: list[RenderableType] = [Text(facts), Text(f"sha256 {report.digest}", style="dim"), table]
    for verdict in report.failures:
        parts += [Text(""), Text(f"{verdict.file}: {verdict.sentence}", style="bold red"), Text(verdict.message)]
    return Group(*parts, Text(report.summary, style="bold red" if report.failures else "bold green"))


def render_json(report: Report) -> str:
    """Return the report as one JSON document."""
    return json.dumps(as_data(report), indent=1) + "\n"


def as_data(report: Report) -> dict[str, Any]:
    """Return the report as plain data."""
    return {"format": 1, "passed": not report.failures, **asdict(report)}


def load_verdicts(path: Path) -> tuple[Verdict, ...]:
    """Return the verdicts of a file that the plugin wrote."""
    return tuple(Verdict(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines())


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:300]
