# SPDX-License-Identifier: MIT
"""Whether packaged images are what they say: every sum, signature, block and list, all findings at once.

Nothing is believed that was not compared: the description with the files, the sums with the files, the image with its
map and its digest, the bills with the list of packages, the specs with the image that they were run on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builder import log
from builder.errors import ReleaseError, TrustError
from builder.packaging.check_files import PAPERS, REPORTS, Kind, check_image
from builder.packaging.check_signatures import PublicKey, check_signatures, check_sums
from builder.packaging.model import RELEASE_NAME, SUFFIX, Package, Release, load_package, load_release
from builder.packaging.requested import find_mismatch, warn_of_age
from builder.system.checksums import sha256_file
from builder.system.files import InputError, read_bytes
from builder.text import make_line

SHOWN = 20
"""Problems that an error names."""
LONGEST = 300


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be."""

    place: str
    """A file or a directory."""
    text: str
    kind: Kind = "release"
    """trust: a digest or signature is wrong; release: something is missing or contradicts the rest."""

    def __str__(self) -> str:
        return f"{make_line(self.place)}: {make_line(self.text)}"

    @classmethod
    def of(cls, place: str, text: str, kind: Kind = "release") -> Problem:
        """Return a problem; of a text that a package may have made as long as it likes, the start."""
        return cls(place, text if len(text) <= LONGEST else f"{text[:LONGEST]}…", kind)


@dataclass(frozen=True)
class Findings:
    """What was found."""

    packages: tuple[Package, ...]
    """Those that could be read."""
    problems: tuple[Problem, ...]
    signers: tuple[str, ...] = ()
    """Who says to have signed: "minisign key 1A2B…"; true only where a key was given and no problem names it."""
    with_key: bool = field(default=False)
    """Whether signatures were checked."""

    def check(self) -> None:
        """Raise TrustError or ReleaseError with all that is wrong."""
        if not self.problems:
            return
        lines = [f"  {problem}" for problem in self.problems[:SHOWN]]
        more = len(self.problems) - SHOWN
        lines += [f"  and {more} more"] if more > 0 else []
        is_trust = any(problem.kind == "trust" for problem in self.problems)
        kind = TrustError if is_trust else ReleaseError
        count = f"{len(self.problems)} problems" if len(self.problems) > 1 else "1 problem"
        hint = "do not use it; fetch it again from a place you trust" if is_trust else "package the image again"
        raise kind("\n".join([f"the release is not what it should be, {count}:", *lines]), hint=hint)


def check_release(directory: Path, key: str = "") -> Findings:
    """Return what is found about the packaged images in a directory, or in those below it.

    key  public key: the text of minisign.pub, its last line, or an armoured key of GnuPG; without one no signature is
         checked

    Raises ReleaseError when there is no packaged image, TrustError when the key is none, MachineError (a program is
    missing). Everything else is a finding.
    """
    public = PublicKey.load(key) if key else None
    places = sorted({path.parent for path in directory.rglob(f"*{SUFFIX}") if ".partial" not in str(path)})
    if not places:
        raise ReleaseError(f"{directory} has no packaged image", hint="make one with `boardwright package IMAGE`")
    packages: list[Package] = []
    problems: list[Problem] = list(_find_missing_boards(directory))
    signers: dict[str, None] = {}
    for place in places:
        with log.step(f"check {place.name}"):
            try:
                package = load_package(place)
            except ReleaseError as error:
                problems.append(Problem(place.name, error.message))
                continue
            packages.append(package)
            warn_of_age(package)
            problems += [*_find_other(place, package), *check_directory(place, package)]
            found, wrong = check_signatures(place, package, public)
            signers |= dict.fromkeys(found)
            problems += [Problem(file, text, "trust") for file, text in wrong]
    return Findings(tuple(packages), tuple(problems), tuple(signers), public is not None)


def _find_missing_boards(directory: Path) -> Iterator[Problem]:
    """Yield the boards that the release has and its directory has not."""
    release = _load_release(directory)
    for board in release.boards if release else ():
        if not (directory / board).is_dir():
            yield Problem(directory.name, f"release.json names the board {board}, which is not there")


def _find_other(place: Path, package: Package) -> Iterator[Problem]:
    """Yield what the release says that a packaged image lies in, and its description does not: <tag>/<board>."""
    release = _load_release(place.parent)
    if release and (wrong := find_mismatch(package, place.name, release)):
        yield Problem(place.name, wrong, "trust")


def _load_release(directory: Path) -> Release | None:
    path = directory / RELEASE_NAME
    return load_release(read_bytes(path, within=directory), path) if path.exists() else None


def check_directory(place: Path, package: Package) -> list[Problem]:
    """Return what is wrong with one directory, its signatures aside."""
    problems = list(_check_files(place, package))
    present = {file.name for file in package.files if (place / file.name).is_file()}
    problems += [Problem.of(file, text, "trust") for file, text in check_sums(place, package)]
    for file in package.files:
        if file.role == "image" and file.name in present:
            problems += [Problem(file.name, text, kind) for kind, text in check_image(place, package, file.name)]
    for suffix, check in PAPERS.items():
        is_named = f"{package.name}{suffix}" in {file.name for file in package.files}
        if package.specs is None and suffix in REPORTS and not is_named:
            continue  # An image that was packaged unverified.
        problems += _check_paper(place, package, suffix, check)
    return problems


def _check_files(place: Path, package: Package) -> Iterator[Problem]:
    """Compare the directory with its description."""
    own = {f"{package.name}{SUFFIX}", *(f"{package.name}{SUFFIX}{end}" for end in (".minisig", ".asc"))}
    said = {file.name: file for file in package.files}
    there = {path.name for path in place.iterdir()}
    if f"{package.name}{SUFFIX}" not in there:
        yield Problem(place.name, f"the description is of {package.name} and has another name")
    if not any(file.role == "image" for file in package.files):
        yield Problem(place.name, "there is no image")
    for name in sorted(there - own - set(said)):
        yield Problem(name, "the description does not know it")
    for name, file in said.items():
        path = place / name
        if path.is_symlink() or not path.is_file():
            yield Problem(name, "the description names it, and there is no such file")
        elif path.stat().st_size != file.size_bytes or sha256_file(path) != file.sha256:
            yield Problem(name, "it is not the file that the description names", "trust")


def _check_paper(
    place: Path, package: Package, suffix: str, check: Callable[[Path, Package], list[str]]
) -> list[Problem]:
    path = place / f"{package.name}{suffix}"
    if path.name not in {file.name for file in package.files} or not path.is_file():
        return [Problem(path.name, "it is missing")]
    try:
        return [Problem.of(path.name, text) for text in check(path, package)]
    except InputError as error:
        return [Problem(path.name, error.problem)]
