# SPDX-License-Identifier: MIT
"""Compare the content of each file of a packaged image with the image and with the other files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from builder.disk.open_image import unpacked
from builder.errors import ReleaseError, VerifyError
from builder.packaging.bmap import BmapCheck, read_bmap
from builder.packaging.cyclonedx import check_cyclonedx, list_cyclonedx
from builder.packaging.model import PackagedImage
from builder.packaging.provenance import Parameters, read_provenance
from builder.packaging.spdx import check_spdx, list_spdx
from builder.packaging.spec_report import find_fault, read_report
from builder.system.files import InputError, read_text

Kind = Literal["trust", "release"]
Rows = set[tuple[str, str, str]]
"""Name, version and architecture of packages."""
SHOWN = 3


def check_image(directory: Path, package: PackagedImage, name: str) -> Iterator[tuple[Kind, str]]:
    """Unpack an image and compare it with the description, and the first of them with the block map."""
    is_first = name == next(file.name for file in package.files if file.role == "image")
    checker = _load_check(directory / f"{package.name}.bmap") if is_first else None
    digest, size = hashlib.sha256(), 0
    try:
        for data in unpacked(directory / name, limit=package.image_size_bytes, error=ReleaseError):
            digest.update(data)
            size += len(data)
            if checker:
                checker.update(data)
    except ReleaseError as error:
        yield "trust", error.message
        return
    if (digest.hexdigest(), size) != (package.image_sha256, package.image_size_bytes):
        yield "trust", "size or sha256 of the image in it differs from the description"
    for problem in checker.end() if checker else ():
        yield "release", f"the block map does not fit: {problem}"


def _load_check(path: Path) -> BmapCheck | None:
    """Return the checker for a map; None if it cannot be read, which _check_bmap reports."""
    try:
        return BmapCheck(read_bmap(read_text(path, within=path.parent)))
    except (ReleaseError, InputError):
        return None


def _check_bmap(path: Path, package: PackagedImage) -> list[str]:
    try:
        bmap = read_bmap(read_text(path, within=path.parent))
    except ReleaseError as error:
        return [error.message]
    if bmap.image_bytes == package.image_size_bytes:
        return []
    return [f"found an image size of {bmap.image_bytes} bytes; expected {package.image_size_bytes}"]


def _check_packages(path: Path, _: PackagedImage) -> list[str]:
    lines = read_text(path, within=path.parent).splitlines()
    return [] if len(lines) > 1 and all(line.count("\t") == 3 for line in lines) else ["it is not a list of packages"]


def read_rows(path: Path) -> Rows:
    """Return the rows of a list of packages."""
    rows = [line.split("\t") for line in read_text(path, within=path.parent).splitlines()[1:]]
    return {(row[0], row[1], row[2]) for row in rows if len(row) == 4}


def _check_sbom(
    path: Path, package: PackagedImage, check: Callable[[str], list[str]], read: Callable[[str], tuple[str, Rows]]
) -> list[str]:
    text = read_text(path, within=path.parent)
    try:
        problems = check(text)
        if problems:
            return problems[:SHOWN]
        digest, rows = read(text)
    except RecursionError:
        return ["cannot be read: it is nested too deep"]
    except (KeyError, IndexError, StopIteration, TypeError):
        return ["it does not name its image"]
    if not all(isinstance(value, str) for row in rows for value in row):  # A validator may let null stand for no value.
        return ["the name or version of a package is not text"]
    listing = path.with_name(f"{package.name}.packages")
    different = rows ^ (read_rows(listing) if listing.is_file() else set())
    problems += ["it describes another image"] if digest != package.image_sha256 else []
    return problems + ([f"it differs from {listing.name}: {_name(different)}"] if different else [])


def _name(rows: Rows) -> str:
    names = [" ".join(row) for row in sorted(rows)]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _check_spdx(path: Path, package: PackagedImage) -> list[str]:
    return _check_sbom(path, package, check_spdx, list_spdx)


def _check_cyclonedx(path: Path, package: PackagedImage) -> list[str]:
    return _check_sbom(path, package, check_cyclonedx, list_cyclonedx)


def _check_specs(path: Path, package: PackagedImage) -> list[str]:
    try:
        report = read_report(read_text(path, within=path.parent), path.name)
    except VerifyError as error:
        return [error.message]
    problems = [fault] if (fault := find_fault(report, package.image_sha256)) else []
    if package.specs != report.summarise():
        problems.append("its results differ from the description")
    if (report.board, report.version) != (package.board, package.version):
        actual, expected = f"{report.board} {report.version}", f"{package.board} {package.version}"
        problems.append(f"found the board and version {actual}; expected {expected}")
    return problems


def _check_junit(path: Path, package: PackagedImage) -> list[str]:
    try:
        root = fromstring(read_text(path, within=path.parent))
    except (ParseError, DefusedXmlException) as error:
        return [f"it cannot be read: {error}"]
    cases = list(root.iter("testcase"))
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    counts = package.specs and (package.specs.passed, package.specs.failed, package.specs.skipped)
    is_same = counts == (len(cases) - failed - skipped, failed, skipped)
    return [] if is_same else ["its results differ from the description"]


def _check_provenance(path: Path, package: PackagedImage) -> list[str]:
    try:
        statement = read_provenance(read_text(path, within=path.parent))
    except ReleaseError as error:
        return [error.message]
    images = {file.name: file.sha256 for file in package.files if file.role == "image"}
    subjects = {f"{package.name}.img": package.image_sha256, **images}
    parameters = Parameters(board=package.board, version=package.version, epoch=package.epoch)
    problems = [] if statement.digests == subjects else ["its subjects differ from the images of the description"]
    if statement.parameters != parameters:
        problems.append("its board, version or time differs from the description")
    return problems


def _check_page(path: Path, package: PackagedImage) -> list[str]:
    return [] if package.image_sha256 in read_text(path, within=path.parent) else ["it describes another image"]


REPORTS = (".specs.json", ".specs.xml")
CHECKS: Mapping[str, Callable[[Path, PackagedImage], list[str]]] = {
    ".bmap": _check_bmap,
    ".packages": _check_packages,
    ".spdx.json": _check_spdx,
    ".cdx.json": _check_cyclonedx,
    ".specs.json": _check_specs,
    ".specs.xml": _check_junit,
    ".report.html": _check_page,
    ".provenance.json": _check_provenance,
}
"""Files that a package must contain besides images and checksums, with the function that checks each."""
