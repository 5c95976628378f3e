# SPDX-License-Identifier: MIT
"""From a directory of packaged images to what is released: every file, hashed, and nothing that is not proven.

All that is wrong is said at once, so that one look repairs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.errors import ReleaseError
from builder.packaging.model import SUFFIX, File, Package, Released, load_package
from builder.packaging.tag import Tag, bare_version
from builder.system.checksums import sha256_file

SIGNED_BY = (".minisig", ".asc")
"""Suffixes of what signs a file, by tool."""


@dataclass(frozen=True)
class Item:
    """A file that is released."""

    board: str
    file: File
    path: Path


@dataclass(frozen=True)
class Parcel:
    """A packaged image, looked through: its files are what it says they are."""

    directory: Path
    released: Released

    @property
    def board(self) -> str:
        """The name of its board."""
        return self.released.package.board

    @property
    def items(self) -> list[Item]:
        """All its files."""
        return [Item(self.board, file, self.directory / file.name) for file in self.released.files]


@dataclass(frozen=True)
class Demand:
    """What a release must be."""

    tag: Tag
    boards: Sequence[str]
    """Boards that must be there."""
    only: bool
    """Whether the packages of other boards stay behind."""
    signed: bool
    """Whether every package must be signed."""
    unverified: bool = False
    """Whether a package may say that its specs were not run."""


def gather(directory: Path, demand: Demand) -> list[Parcel]:
    """Return the packaged images below a directory, by name of the board; ReleaseError with all that is wrong."""
    problems: list[str] = []
    found = list(_load_all(directory, problems))
    wanted = [each for each in found if not demand.only or each[1].board in demand.boards]
    for board, count in Counter(package.board for _, package in wanted).items():
        if count > 1:
            problems.append(f"{board}: {count} packages are of this board")
    there = {package.board for _, package in wanted}
    problems.extend(f"{board}: there is no package of it" for board in demand.boards if board not in there)
    parcels = []
    with log.step(f"look through {directory}"):
        for place, package in sorted(wanted, key=lambda each: each[1].board):
            wrong = [
                *_find_claims(package, demand.tag),
                *_find_unproven(package, demand),
                *_find_damage(place, package),
            ]
            signed = _find_signed(place, package)
            if demand.signed and len(signed) < 2:
                wrong.append(f"{package.name}{SUFFIX} is not signed")
            problems.extend(f"{package.board}: {each}" for each in wrong)
            if not wrong:
                parcels.append(Parcel(place, Released(package=package, signed=signed)))
    if problems:
        raise ReleaseError(
            "\n".join([f"{demand.tag.text} is not released:", *(f"  - {each}" for each in problems)]),
            hint="`boardwright build` and `boardwright package` make what is missing; --board names what is released",
        )
    return parcels


def _load_all(directory: Path, problems: list[str]) -> Iterator[tuple[Path, Package]]:
    """Yield every directory below one that holds a packaged image, with its description."""
    if not directory.is_dir():
        raise ReleaseError(f"there is no directory {directory}", hint="make it with `boardwright package`")
    places = sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not places:
        problems.append(f"{directory} holds no packaged image")
    for place in places:
        try:
            yield place, load_package(place)
        except ReleaseError as error:
            problems.append(error.message)


def _find_claims(package: Package, tag: Tag) -> Iterator[str]:
    if bare_version(package.version) != tag.version:
        yield f"its version is {package.version}, that of the tag is {tag.version}"
    if not any(file.role == "image" for file in package.files):
        yield "it has no image"


def _find_unproven(package: Package, demand: Demand) -> Iterator[str]:
    """Yield what is missing to believe that this image does what the specs say."""
    specs = package.specs
    if specs is None and demand.unverified:
        return
    if specs is None or not specs.passed + specs.failed:
        yield "its specs were not run (--unverified releases it all the same)"
        return
    if specs.failed:
        yield f"{specs.failed} of its specs are red"
    digests = {package.image_sha256, *(file.sha256 for file in package.files if file.role == "image")}
    if specs.image_sha256 not in digests:
        said, own = specs.image_sha256[:12], package.image_sha256[:12]
        yield f"its specs were run on another image (sha256 {said}…) than it holds ({own}…)"


def _find_damage(place: Path, package: Package) -> Iterator[str]:
    """Yield what the files are not that the description says; each is read whole."""
    names = {file.name for file in package.files}
    for name in sorted(name for name, count in Counter(file.name for file in package.files).items() if count > 1):
        yield f"{name} is described twice"
    signing = _signing_names(package)
    for path in sorted(place.iterdir()):
        if path.name not in names | signing:
            yield f"{path.name} is not in its description"
    for file in package.files:
        path = place / file.name
        if not path.is_file() or path.is_symlink():
            yield f"{file.name} is missing"
        elif path.stat().st_size != file.size_bytes:
            yield f"{file.name} has {path.stat().st_size} bytes, described are {file.size_bytes}"
        elif (found := sha256_file(path)) != file.sha256:
            yield f"{file.name} has sha256 {found[:12]}…, described is {file.sha256[:12]}…"


def _signing_names(package: Package) -> set[str]:
    description = package.name + SUFFIX
    return {description, *(description + suffix for suffix in SIGNED_BY)}


def _find_signed(place: Path, package: Package) -> list[File]:
    """Return the description and what signs it."""
    paths = [path for name in sorted(_signing_names(package)) if (path := place / name).is_file()]
    return [
        File(
            name=path.name,
            role="signature" if path.suffix in SIGNED_BY else "other",
            size_bytes=path.stat().st_size,
            sha256=sha256_file(path),
        )
        for path in paths
    ]
