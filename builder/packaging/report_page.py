# SPDX-License-Identifier: MIT
"""The report of an image as one HTML page: what the specs found, what takes the room. No script, nothing fetched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined

from builder.packaging.installed import Installed
from builder.packaging.sbom import Bill
from builder.packaging.spec_report import SpecReport, Verdict
from builder.packaging.treemap import Cell, Group, make_treemap
from builder.units import KIB, render_size

LARGEST = 15
"""Packages that are listed by size."""
WIDE = (960.0, 600.0)
TALL = (380.0, 760.0)
"""Size of the picture on a wide screen and on a phone, in CSS pixels: the print in it stays readable on both."""
SECTIONS = 12
"""Groups of packages; the smallest others are put together."""


class Area(Protocol):
    """A partition."""

    @property
    def name(self) -> str: ...
    @property
    def filesystem(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def free_bytes(self) -> int: ...


@dataclass(frozen=True)
class SpecFile:
    """The specs of one file."""

    name: str
    passed: int
    failed: int
    skipped: int
    verdicts: tuple[Verdict, ...]
    """Red ones first."""


def render_page(bill: Bill, board: str, report: SpecReport | None, areas: Sequence[Area], image_bytes: int) -> str:
    """Return the page; without a report it says that the image is unverified."""
    environment = Environment(
        loader=PackageLoader("builder.packaging", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = render_size
    groups = _group(bill.packages)
    return environment.get_template("report.html.j2").render(
        bill=bill,
        board=board,
        report=report,
        built=datetime.fromtimestamp(bill.epoch, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        summary=report.summarise() if report else None,
        files=list_files(report) if report else [],
        areas=areas,
        image_bytes=image_bytes,
        pictures=[("wide", *WIDE, _draw(groups, *WIDE)), ("tall", *TALL, _draw(groups, *TALL))],
        largest=sorted(bill.packages, key=lambda each: (-each.size_kib, each.name))[:LARGEST],
        installed_bytes=sum(each.size_kib for each in bill.packages) * KIB,
        kib=KIB,
        colours={name: number for number, name in enumerate(groups)},
        hues=[round(number * 360 / len(groups)) for number in range(len(groups))],
    )


def list_files(report: SpecReport) -> list[SpecFile]:
    """Return the specs by file: those with red ones first, and the red ones first in each."""
    found = []
    for name in sorted({verdict.file for verdict in report.verdicts}):
        mine = [verdict for verdict in report.verdicts if verdict.file == name]
        count = Counter(verdict.outcome for verdict in mine)
        order = sorted(mine, key=lambda verdict: (verdict.outcome != "failed", verdict.outcome == "skipped"))
        found.append(SpecFile(name, count["passed"], count["failed"], count["skipped"], tuple(order)))
    return sorted(found, key=lambda file: not file.failed)


def _group(packages: Sequence[Installed]) -> dict[str, list[Cell]]:
    """Return the packages by Debian's sections, without the archive's area before the slash."""
    groups: dict[str, list[Cell]] = {}
    for each in packages:
        groups.setdefault(each.section.rpartition("/")[2] or "other", []).append(Cell(each.name, each.size_kib * KIB))
    ranked = sorted(groups, key=lambda name: -sum(cell.size for cell in groups[name]))
    rest = [cell for name in ranked[SECTIONS:] for cell in groups[name]]
    return {name: groups[name] for name in ranked[:SECTIONS]} | ({"all others": rest} if rest else {})


def _draw(groups: dict[str, list[Cell]], width: float, height: float) -> tuple[Group, ...]:
    return make_treemap(groups, width=width, height=height)
