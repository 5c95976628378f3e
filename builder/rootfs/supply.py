# SPDX-License-Identifier: MIT
"""Which archive of a recipe each package is of, by the digests in the archives' indexes.

An address does not tell: trixie and trixie-backports lie in one pool.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.recipe.model import Archive

FORMAT = "$(FILENAME)\t$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)"
"""What `apt-get indextargets` is to tell of each index of packages."""
USUAL_PRIORITY = 500
"""APT's own for an archive (apt_preferences(5))."""
_NAME = re.compile(rb"^Package: (\S+)$", re.MULTILINE)
_DIGEST = re.compile(rb"^SHA256: ([0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True)
class Archived:
    """A package as its archive has it."""

    name: str
    version: str
    architecture: str
    file: str
    """Name that APT gives it below /var/cache/apt/archives."""
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Supply:
    """Where the packages of a build come from."""

    archives: Mapping[str, str] = field(default_factory=dict)
    """The archive of each package, by its name in the recipe."""
    overriding: tuple[str, ...] = ()
    """Packages of an archive with a low pin that another archive has too."""

    def find_warnings(self) -> list[str]:
        """Return a sentence for each archive that wins although its pin is low."""
        names: dict[str, list[str]] = {}
        for name in self.overriding:
            names.setdefault(self.archives[name], []).append(name)
        return [
            f"archives.{archive}: its pin is low, and yet it gives what another archive has too: {', '.join(own)}"
            for archive, own in sorted(names.items())
        ]


UNKNOWN = Supply()


def read_supply(record: Mapping[str, Any]) -> Supply:
    """Return what a record in JSON says; KeyError or TypeError where it is another."""
    return Supply(dict(record["archives"]), tuple(record["overriding"]))


def find_supply(
    packages: Sequence[Archived], archives: Mapping[str, Archive], asked: Sequence[str], indextargets: str
) -> Supply:
    """Return where packages come from.

    asked         the plan's packages; one with a suite of its own ("tool/trixie-backports") overrides nothing
    indextargets  what `apt-get indextargets --format FORMAT` has said
    """
    indexes = {name: _find_indexes(archive, indextargets) for name, archive in archives.items()}
    names = {package.sha256.encode(): package.name for package in packages}
    found: dict[str, str] = {}
    for archive in sorted(archives, key=lambda name: -_priority(archives[name])):
        digests = {digest for index in indexes[archive] for digest in _DIGEST.findall(index)}
        for digest in digests & names.keys():
            found.setdefault(names[digest], archive)
    exact = {text.split("/")[0].split("=")[0] for text in asked if "/" in text or "=" in text}
    low = {name for name, archive in found.items() if _priority(archives[archive]) < USUAL_PRIORITY} - exact
    usual = [name for name, archive in archives.items() if _priority(archive) >= USUAL_PRIORITY] if low else []
    elsewhere = {match.decode() for name in usual for index in indexes[name] for match in _NAME.findall(index)}
    return Supply(dict(sorted(found.items())), tuple(sorted(low & elsewhere)))


def _priority(archive: Archive) -> int:
    return USUAL_PRIORITY if archive.pin is None else archive.pin


def _find_indexes(archive: Archive, indextargets: str) -> list[bytes]:
    """Return the indexes of an archive's suites and components."""
    rows = (line.split("\t") for line in indextargets.splitlines() if line.count("\t") == FORMAT.count("\t"))
    return [
        Path(file).read_bytes()
        for file, url, suite, component in rows
        if url.rstrip("/") == archive.url.rstrip("/")
        and suite in archive.suites
        and (component in archive.components or not archive.components)
    ]
