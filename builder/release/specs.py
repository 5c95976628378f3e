# SPDX-License-Identifier: MIT
"""What the specs found, read back from the report that `verify` and the build leave beside an image."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from builder.errors import VerifyError
from builder.release.model import Specs

OFFLINE = "offline"
"""The level that every image must have passed; booting it comes on top."""


class Verdict(BaseModel):
    """What one spec found."""

    model_config = ConfigDict(frozen=True)

    file: str
    name: str
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    message: str = ""

    @property
    def sentence(self) -> str:
        """The name as a sentence."""
        name, bracket, parameter = self.name.partition("[")
        return name.removeprefix("test_").replace("_", " ") + (f" ({parameter.rstrip(']')})" if bracket else "")


class SpecReport(BaseModel):
    """A run of the specs."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1]
    board: str
    version: str
    digest: str
    """SHA-256 of the uncompressed image that they were run on."""
    levels: tuple[str, ...]
    only: str = ""
    """Words that chose a part of the specs; all were run where it is empty."""
    seconds: float
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


def read_report(text: str, name: str) -> SpecReport:
    """Return the report in a file called `name`; VerifyError when it is none."""
    try:
        return SpecReport.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise VerifyError(f"{name}: {place}: {first['msg']}", hint="run the specs: boardwright verify IMAGE") from None


def find_fault(report: SpecReport, image_sha256: str) -> str:
    """Return why an image may not be handed out on the strength of a report, or nothing."""
    if report.digest != image_sha256:
        return f"the specs were run on an image with sha256 {report.digest}, and this one has {image_sha256}"
    if OFFLINE not in report.levels:
        return f"of the specs only the levels {', '.join(report.levels)} were run; {OFFLINE} is missing"
    if report.only:
        return f"only a part of the specs was run ({report.only!r})"
    if report.failures:
        first = report.failures[0]
        return f"{len(report.failures)} specs are red, the first in {first.file}: {first.sentence}"
    return "" if report.verdicts else "no spec was run"
