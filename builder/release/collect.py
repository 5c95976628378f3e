# SPDX-License-Identifier: MIT
"""Collect packaged images for a release. Each is checked as `verify --release` does, and has the results of its specs.

All problems are reported at once, so that the user can fix them together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.errors import ReleaseError
from builder.packaging.check import PackageProblem, check_directory
from builder.packaging.check_signatures import AnyPublicKey, check_signatures
from builder.packaging.model import SUFFIX, PackagedFile, PackagedImage, Released, load_packaged_image
from builder.packaging.tag import Tag, bare_version
from builder.system.checksums import sha256_file

SIGNED_BY = (".minisig", ".asc")
"""Suffixes of signatures, by tool."""


@dataclass(frozen=True)
class ReleaseFile:
    """A file of a release."""

    board: str
    file: PackagedFile
    path: Path


@dataclass(frozen=True)
class CheckedImage:
    """A checked packaged image: its files match its description."""

    directory: Path
    released: Released

    @property
    def board(self) -> str:
        """Name of its board."""
        return self.released.image.board

    @property
    def items(self) -> list[ReleaseFile]:
        """All its files."""
        return [ReleaseFile(self.board, file, self.directory / file.name) for file in self.released.files]


@dataclass(frozen=True)
class Requirements:
    """The requirements of a release."""

    tag: Tag
    boards: Sequence[str]
    """Boards that must be included."""
    only: bool
    """True to ignore packaged images of other boards."""
    signed: bool
    """True if all packaged images must be signed."""
    unverified: bool = False
    """True if packaged images are allowed whose specs were not run."""
    key: AnyPublicKey | None = None
    """Public key of the publisher; signatures are checked with it."""


Check = Callable[[Path, PackagedImage], Iterable[PackageProblem]]


def collect(directory: Path, demand: Requirements, *, check: Check = check_directory) -> list[CheckedImage]:
    """Return the packaged images below a directory, sorted by board; raise ReleaseError with all problems.

    check  compares a directory with its description
    """
    problems: list[str] = []
    loaded = list(_load_all(directory, problems))
    selected = [(path, package) for path, package in loaded if not demand.only or package.board in demand.boards]
    for board, count in Counter(package.board for _, package in selected).items():
        if count > 1:
            problems.append(f"{board}: found {count} packaged images; expected one")
    present = {package.board for _, package in selected}
    problems.extend(f"{board}: its packaged image is missing" for board in demand.boards if board not in present)
    checked = []
    with log.step(f"check the packaged images in {directory}"):
        for path, package in sorted(selected, key=lambda pair: pair[1].board):
            wrong = [
                *_find_claims(package, demand.tag),
                *_find_unproven(package, demand),
                *(f"{problem.name}: {problem.text}" for problem in check(path, package)),
            ]
            signed = _find_signed(path, package)
            if demand.signed and len(signed) < 2:
                wrong.append(f"{package.name}{SUFFIX} is not signed")
            elif len(signed) > 1:
                wrong += [f"{file}: {fault}" for file, fault in check_signatures(path, package, demand.key)[1]]
            problems.extend(f"{package.board}: {problem}" for problem in wrong)
            if not wrong:
                checked.append(CheckedImage(path, Released(image=package, signed=signed)))
    if problems:
        raise ReleaseError(
            "\n".join([f"{demand.tag.text} is not released:", *(f"  - {problem}" for problem in problems)]),
            hint="make missing ones with `boardwright build` and `boardwright package`; select boards with --board",
        )
    return checked


def _load_all(directory: Path, problems: list[str]) -> Iterator[tuple[Path, PackagedImage]]:
    """Yield the subdirectories with a packaged image, with its description; append errors to `problems`."""
    if not directory.is_dir():
        hint = "make it with `boardwright package`"
        raise ReleaseError(f"{directory} does not exist or is not a directory", hint=hint)
    paths = sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not paths:
        problems.append(f"{directory} contains no packaged image")
    for path in paths:
        try:
            yield path, load_packaged_image(path)
        except ReleaseError as error:
            problems.append(error.message)


def _find_claims(package: PackagedImage, tag: Tag) -> Iterator[str]:
    if bare_version(package.version) != tag.version:
        yield f"version: found {package.version}; expected {tag.version}, as in the tag"


def _find_unproven(package: PackagedImage, demand: Requirements) -> Iterator[str]:
    """Yield the reasons not to trust that the image passed its specs."""
    specs = package.specs
    if specs is None and demand.unverified:
        return
    if specs is None or not specs.passed + specs.failed:
        yield "its specs were not run (--unverified allows this)"
        return
    if specs.failed:
        yield f"{specs.failed} of its specs failed"
    digests = {package.image_sha256, *(file.sha256 for file in package.files if file.role == "image")}
    if specs.image_sha256 not in digests:
        tested, packaged = specs.image_sha256[:12], package.image_sha256[:12]
        yield f"its specs were run on another image: found sha256 {tested}…; expected {packaged}…"


def _signing_names(package: PackagedImage) -> set[str]:
    description = package.name + SUFFIX
    return {description, *(description + suffix for suffix in SIGNED_BY)}


def _find_signed(directory: Path, package: PackagedImage) -> list[PackagedFile]:
    """Return the description and its signatures."""
    paths = [path for name in sorted(_signing_names(package)) if (path := directory / name).is_file()]
    return [
        PackagedFile(
            name=path.name,
            role="signature" if path.suffix in SIGNED_BY else "manifest",
            size_bytes=path.stat().st_size,
            sha256=sha256_file(path),
        )
        for path in paths
    ]
