# SPDX-License-Identifier: MIT
"""What the specs found, read back from the report that `verify` and the build leave beside an image."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from builder.errors import VerifyError
from builder.packaging.model import Specs
from builder.recipe.described import load_described
from builder.recipe.facts import Seconds
from builder.recipe.values import AnyText, BoardName, Frozen, Prose, Sha256, Version, Word
from builder.text import make_line

OFFLINE = "offline"
"""The level that every image must have passed; booting it comes on top."""

SHOWN = 200
"""Letters of a text of any length that an error repeats."""


class Verdict(Frozen, extra="ignore"):
    """What one spec found."""

    file: Prose
    name: AnyText
    outcome: Literal["passed", "failed", "skipped"]
    seconds: Seconds
    message: AnyText = ""

    @property
    def sentence(self) -> str:
        """The name as a sentence."""
        name, bracket, parameter = self.name.partition("[")
        return name.removeprefix("test_").replace("_", " ") + (f" ({parameter.rstrip(']')})" if bracket else "")


class SpecReport(Frozen, extra="ignore"):
    """A run of the specs."""

    format: Literal[1]
    board: BoardName
    version: Version
    digest: Sha256
    """SHA-256 of the uncompressed image that they were run on."""
    levels: tuple[Word, ...]
    only: AnyText = ""
    """Words that chose a part of the specs; all were run where it is empty."""
    seconds: Seconds
    verdicts: tuple[Verdict, ...]

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """The red ones."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome == "failed")

    def summarise(self) -> Specs:
        """Return what a package's description says of it."""
        count = Counter(verdict.outcome for verdict in self.verdicts)
        return Specs(
            passed=count["passed"],
            failed=count["failed"],
            skipped=count["skipped"],
            levels=list(self.levels),
            image_sha256=self.digest,
        )


def read_report(text: str | bytes, name: str) -> SpecReport:
    """Return the report in a file called `name`; VerifyError when it is none."""
    return load_described(SpecReport, text, name, error=VerifyError, hint="run the specs: boardwright verify IMAGE")


def find_fault(report: SpecReport, image_sha256: str) -> str:
    """Return why an image may not be handed out on the strength of a report, or nothing."""
    if report.digest != image_sha256:
        return f"the specs were run on an image with sha256 {report.digest}, and this one has {image_sha256}"
    if OFFLINE not in report.levels:
        return f"of the specs only the levels {', '.join(report.levels)} were run; {OFFLINE} is missing"
    if report.only:
        return f"only a part of the specs was run ({report.only[:SHOWN]!r})"
    if report.failures:
        first = report.failures[0]
        return f"{len(report.failures)} specs are red, the first in {first.file}: {make_line(first.sentence[:SHOWN])}"
    return "" if report.verdicts else "no spec was run"
