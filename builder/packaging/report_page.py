# SPDX-License-Identifier: MIT
"""Render the report of an image as one HTML page: results of the specs, disk usage. No scripts, no other files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined

from builder.packaging.installed import Installed
from builder.packaging.sbom import Sbom
from builder.packaging.spec_report import ReportedVerdict, SpecReport
from builder.packaging.treemap import Cell, TreemapGroup, make_treemap
from builder.units import KIB, render_size

LARGEST = 15
"""Number of packages in the table of the largest."""
WIDE = (960.0, 600.0)
TALL = (380.0, 760.0)
"""Sizes of the treemap on a wide screen and on a phone, in CSS pixels, so that its text is readable on both."""
SECTIONS = 12
"""Number of groups of packages; the smallest groups are joined."""


class PageArea(Protocol):
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
    verdicts: tuple[ReportedVerdict, ...]
    """Failed specs first."""


def render_page(sbom: Sbom, board: str, report: SpecReport | None, areas: Sequence[PageArea], image_bytes: int) -> str:
    """Return the page; without a report it marks the image as unverified."""
    environment = Environment(
        loader=PackageLoader("builder.packaging", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = render_size
    groups = _group(sbom.packages)
    return environment.get_template("report.html.j2").render(
        sbom=sbom,
        board=board,
        report=report,
        built=datetime.fromtimestamp(sbom.epoch, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        summary=report.summarise() if report else None,
        files=list_files(report) if report else [],
        areas=areas,
        image_bytes=image_bytes,
        pictures=[("wide", *WIDE, _draw(groups, *WIDE)), ("tall", *TALL, _draw(groups, *TALL))],
        largest=sorted(sbom.packages, key=lambda package: (-package.size_kib, package.name))[:LARGEST],
        installed_bytes=sum(package.size_kib for package in sbom.packages) * KIB,
        kib=KIB,
        colours={name: number for number, name in enumerate(groups)},
        hues=[round(number * 360 / len(groups)) for number in range(len(groups))],
    )


def list_files(report: SpecReport) -> list[SpecFile]:
    """Return the specs by file: files with failed specs first, and failed specs first in each file."""
    files = []
    for name in sorted({verdict.file for verdict in report.verdicts}):
        verdicts = [verdict for verdict in report.verdicts if verdict.file == name]
        count = Counter(verdict.outcome for verdict in verdicts)
        order = sorted(verdicts, key=lambda verdict: (verdict.outcome != "failed", verdict.outcome == "skipped"))
        files.append(SpecFile(name, count["passed"], count["failed"], count["skipped"], tuple(order)))
    return sorted(files, key=lambda file: not file.failed)


def _group(packages: Sequence[Installed]) -> dict[str, list[Cell]]:
    """Return the packages by Debian's sections, without the archive area before the slash."""
    groups: dict[str, list[Cell]] = {}
    for package in packages:
        section = package.section.rpartition("/")[2] or "other"
        groups.setdefault(section, []).append(Cell(package.name, package.size_kib * KIB))
    ranked = sorted(groups, key=lambda name: -sum(cell.size for cell in groups[name]))
    rest = [cell for name in ranked[SECTIONS:] for cell in groups[name]]
    return {name: groups[name] for name in ranked[:SECTIONS]} | ({"all others": rest} if rest else {})


def _draw(groups: dict[str, list[Cell]], width: float, height: float) -> tuple[TreemapGroup, ...]:
    return make_treemap(groups, width=width, height=height)
