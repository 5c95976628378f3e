# SPDX-License-Identifier: MIT
"""Check packaged images: checksums, signatures, block maps and lists. All problems are reported at once.

Every file is compared with another source. The description and the checksums are compared with the files, and the
image with its map and digest. The SBOMs are compared with the list of packages, and the specs with their image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builder import log
from builder.errors import ReleaseError, TrustError
from builder.packaging.check_files import CHECKS, REPORTS, Kind, check_image
from builder.packaging.check_signatures import AnyPublicKey, check_signatures, check_sums
from builder.packaging.model import (
    RELEASE_NAME,
    SUFFIX,
    PackagedFile,
    PackagedImage,
    Release,
    load_packaged_image,
    load_release,
)
from builder.packaging.requested import find_mismatch, warn_of_age
from builder.system.atomic import PARTIAL
from builder.system.checksums import sha256_file
from builder.system.files import InputError, read_bytes
from builder.text import make_line

SHOWN = 20
"""Number of problems in an error message."""
LONGEST = 300


@dataclass(frozen=True)
class PackageProblem:
    """One problem in a packaged image."""

    name: str
    """A file or a directory."""
    text: str
    kind: Kind = "release"
    """trust: a digest or signature is wrong; release: something is missing or inconsistent."""

    def __str__(self) -> str:
        return f"{make_line(self.name)}: {make_line(self.text)}"

    @classmethod
    def of(cls, name: str, text: str, kind: Kind = "release") -> PackageProblem:
        """Return a problem, with its text cut to a maximum length: a package may contain texts of any length."""
        return cls(name, text if len(text) <= LONGEST else f"{text[:LONGEST]}…", kind)


@dataclass(frozen=True)
class Findings:
    """The result of a check."""

    packages: tuple[PackagedImage, ...]
    """Descriptions that could be read."""
    problems: tuple[PackageProblem, ...]
    signers: tuple[str, ...] = ()
    """Claimed signers: "minisign key 1A2B…"; proven only if a key was given and there is no problem with it."""
    with_key: bool = field(default=False)
    """True if signatures were checked."""

    def check(self) -> None:
        """Raise TrustError or ReleaseError if there are problems."""
        if not self.problems:
            return
        lines = [f"  {problem}" for problem in self.problems[:SHOWN]]
        more = len(self.problems) - SHOWN
        lines += [f"  and {more} more"] if more > 0 else []
        is_trust = any(problem.kind == "trust" for problem in self.problems)
        kind = TrustError if is_trust else ReleaseError
        count = f"{len(self.problems)} problems" if len(self.problems) > 1 else "1 problem"
        hint = "do not use it; download it again from a source you trust" if is_trust else "package the image again"
        raise kind("\n".join([f"the release has {count}:", *lines]), hint=hint)


def check_release(directory: Path, key: str = "") -> Findings:
    """Check the packaged images in a directory and below it.

    key  public key: the text of minisign.pub, its last line, or an armoured GnuPG key; without one signatures are not
         checked

    Raises ReleaseError without a packaged image, TrustError for an invalid key, MachineError for a missing program.
    All other problems are in the result.
    """
    public = AnyPublicKey.load(key) if key else None
    directories = sorted(
        {path.parent for path in directory.rglob(f"*{SUFFIX}") if not _is_partial(path.relative_to(directory))}
    )
    if not directories:
        raise ReleaseError(f"{directory} has no packaged image", hint="make one with `boardwright package IMAGE`")
    packages: list[PackagedImage] = []
    problems: list[PackageProblem] = list(_find_missing_boards(directory))
    signers: dict[str, None] = {}
    for path in directories:
        with log.step(f"check {path.name}"):
            try:
                package = load_packaged_image(path)
            except ReleaseError as error:
                problems.append(PackageProblem(path.name, error.message))
                continue
            packages.append(package)
            warn_of_age(package)
            problems += [*_find_other(path, package), *check_directory(path, package)]
            claimed, wrong = check_signatures(path, package, public)
            signers |= dict.fromkeys(claimed)
            problems += [PackageProblem(file, text, "trust") for file, text in wrong]
    return Findings(tuple(packages), tuple(problems), tuple(signers), public is not None)


def _is_partial(path: Path) -> bool:
    """Return whether a path lies in a directory that is still being written (builder.artefact.files)."""
    return any(part.startswith(".") and part.endswith(PARTIAL) for part in path.parts)


def _find_missing_boards(directory: Path) -> Iterator[PackageProblem]:
    """Yield the boards in release.json that have no directory."""
    release = _load_release(directory)
    for board in release.boards if release else ():
        if not (directory / board).is_dir():
            yield PackageProblem(directory.name, f"release.json names the board {board}, but its directory is missing")


def _find_other(directory: Path, package: PackagedImage) -> Iterator[PackageProblem]:
    """Yield the difference between the description of a packaged image and the release.json above (<tag>/<board>)."""
    release = _load_release(directory.parent)
    if release and (wrong := find_mismatch(package, directory.name, release)):
        yield PackageProblem(directory.name, wrong, "trust")


def _load_release(directory: Path) -> Release | None:
    path = directory / RELEASE_NAME
    return load_release(read_bytes(path, within=directory), path) if path.exists() else None


def check_directory(directory: Path, package: PackagedImage) -> list[PackageProblem]:
    """Return the problems of one directory, without signatures."""
    problems = list(check_files(directory, package))
    present = {file.name for file in package.files if (directory / file.name).is_file()}
    problems += [PackageProblem.of(file, text, "trust") for file, text in check_sums(directory, package)]
    for file in package.files:
        if file.role == "image" and file.name in present:
            problems += [
                PackageProblem(file.name, text, kind) for kind, text in check_image(directory, package, file.name)
            ]
    for suffix, check in CHECKS.items():
        is_named = f"{package.name}{suffix}" in {file.name for file in package.files}
        if package.specs is None and suffix in REPORTS and not is_named:
            continue  # The image was packaged with --unverified.
        problems += _check_document(directory, package, suffix, check)
    return problems


def check_files(directory: Path, package: PackagedImage) -> Iterator[PackageProblem]:
    """Compare the files in a directory with its description."""
    unlisted = {f"{package.name}{SUFFIX}", *(f"{package.name}{SUFFIX}{end}" for end in (".minisig", ".asc"))}
    listed = {file.name: file for file in package.files}
    present = {path.name for path in directory.iterdir()}
    if f"{package.name}{SUFFIX}" not in present:
        yield PackageProblem(
            directory.name, f"found another file name of the description; expected {package.name}{SUFFIX}"
        )
    if not any(file.role == "image" for file in package.files):
        yield PackageProblem(directory.name, "the description has no image")
    for name in sorted(name for name, count in Counter(file.name for file in package.files).items() if count > 1):
        yield PackageProblem(name, "it is in the description twice")
    for name in sorted(present - unlisted - set(listed)):
        yield PackageProblem(name, "it is not in the description")
    for file in listed.values():
        yield from _check_file(directory / file.name, file)


def _check_file(path: Path, file: PackagedFile) -> Iterator[PackageProblem]:
    if path.is_symlink() or not path.is_file():
        yield PackageProblem(file.name, "it is in the description, but the file is missing")
    elif (size := path.stat().st_size) != file.size_bytes:
        yield PackageProblem(
            file.name, f"found {size} bytes; expected {file.size_bytes}, as in the description", "trust"
        )
    elif (sha256 := sha256_file(path)) != file.sha256:
        actual, expected = sha256[:12], file.sha256[:12]
        yield PackageProblem(file.name, f"found sha256 {actual}…; expected {expected}…, as in the description", "trust")


def _check_document(
    directory: Path, package: PackagedImage, suffix: str, check: Callable[[Path, PackagedImage], list[str]]
) -> list[PackageProblem]:
    path = directory / f"{package.name}{suffix}"
    if path.name not in {file.name for file in package.files} or not path.is_file():
        return [PackageProblem(path.name, "it is missing")]
    try:
        return [PackageProblem.of(path.name, text) for text in check(path, package)]
    except InputError as error:
        return [PackageProblem(path.name, error.problem)]
