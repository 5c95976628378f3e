# SPDX-License-Identifier: MIT
"""Read the report of the specs that `verify` and the build write beside an image."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from builder.errors import VerifyError
from builder.packaging.model import Specs
from builder.recipe.described import load_described
from builder.recipe.facts import Seconds
from builder.recipe.values import AnyText, BoardName, FrozenModel, Prose, Sha256, Version, Word
from builder.text import make_line, make_sentence

OFFLINE = "offline"
"""The level that every image must have passed; the level booted is optional."""

SHOWN = 200
"""Maximum number of characters of a text in an error message."""


class ReportedVerdict(FrozenModel, extra="ignore"):
    """The result of one spec."""

    file: Prose
    name: AnyText
    outcome: Literal["passed", "failed", "skipped"]
    seconds: Seconds
    message: AnyText = ""

    @property
    def sentence(self) -> str:
        """The name of the spec as a sentence."""
        return make_sentence(self.name)


class SpecReport(FrozenModel, extra="ignore"):
    """The results of a run of the specs."""

    format: Literal[1]
    board: BoardName
    version: Version
    digest: Sha256
    """SHA-256 of the uncompressed image that they were run on."""
    levels: tuple[Word, ...]
    only: AnyText = ""
    """Expression that selected specs; empty if all were run."""
    seconds: Seconds
    verdicts: tuple[ReportedVerdict, ...]

    @property
    def failures(self) -> tuple[ReportedVerdict, ...]:
        """The failed specs."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome == "failed")

    def summarise(self) -> Specs:
        """Return the summary for a package's description."""
        count = Counter(verdict.outcome for verdict in self.verdicts)
        return Specs(
            passed=count["passed"],
            failed=count["failed"],
            skipped=count["skipped"],
            levels=list(self.levels),
            image_sha256=self.digest,
        )


def read_report(text: str | bytes, name: str) -> SpecReport:
    """Return a report; raise VerifyError, with the file's `name`, if it is not valid."""
    return load_described(SpecReport, text, name, error=VerifyError, hint="run the specs: boardwright verify IMAGE")


def find_fault(report: SpecReport, image_sha256: str) -> str:
    """Return why a report does not allow to publish an image, or ""."""
    if report.digest != image_sha256:
        return f"the specs were run on an image with sha256 {report.digest}; expected {image_sha256}"
    if OFFLINE not in report.levels:
        return f"levels of the specs: found {', '.join(report.levels)}; expected {OFFLINE} too"
    if report.only:
        return f"only some of the specs were run ({report.only[:SHOWN]!r})"
    if report.failures:
        first = report.failures[0]
        return f"{len(report.failures)} specs failed, the first in {first.file}: {make_line(first.sentence[:SHOWN])}"
    return "" if report.verdicts else "no spec was run"
