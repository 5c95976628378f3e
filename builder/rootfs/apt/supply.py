# SPDX-License-Identifier: MIT
"""Find the archive of each package, by the digests in the archives' indexes.

A URL is not enough: trixie and trixie-backports share one pool.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder.plan.packages import name_of
from builder.recipe.model import Archive
from builder.rootfs.apt.indexes import NAME, Index

USUAL_PRIORITY = 500
"""APT's default priority of an archive (apt_preferences(5))."""
_DIGEST = re.compile(rb"^SHA256: ([0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True)
class Archived:
    """A package in an archive."""

    name: str
    version: str
    architecture: str
    file: str
    """File name below /var/cache/apt/archives."""
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Supply:
    """The archives of a build's packages."""

    archives: Mapping[str, str] = field(default_factory=dict)
    """Name of the archive in the recipe, by package."""
    overriding: tuple[str, ...] = ()
    """Packages from an archive with a low pin that another archive has too."""

    def find_warnings(self) -> list[str]:
        """Return a warning for each archive that overrides others although its pin is low."""
        names: dict[str, list[str]] = {}
        for name in self.overriding:
            names.setdefault(self.archives[name], []).append(name)
        return [
            f"archives.{archive}: its pin is low, but it overrides packages of other archives: {', '.join(packages)}"
            for archive, packages in sorted(names.items())
        ]


UNKNOWN = Supply()


def find_supply(
    packages: Sequence[Archived], archives: Mapping[str, Archive], asked: Sequence[str], indexes: Sequence[Index]
) -> Supply:
    """Return the archive of each package.

    asked    the plan's packages; one with an explicit suite ("tool/trixie-backports") never counts as overriding
    indexes  APT's indexes of the archives
    """
    texts = {
        name: [Path(index.file).read_bytes() for index in indexes if index.is_of(archives[name])] for name in archives
    }
    names = {package.sha256.encode(): package.name for package in packages}
    archive_of: dict[str, str] = {}
    for archive in sorted(archives, key=lambda name: -_priority(archives[name])):
        digests = {digest for text in texts[archive] for digest in _DIGEST.findall(text)}
        for digest in digests & names.keys():
            archive_of.setdefault(names[digest], archive)
    exact = {name_of(text) for text in asked if name_of(text) != text}
    low = {name for name, archive in archive_of.items() if _priority(archives[archive]) < USUAL_PRIORITY} - exact
    usual = [name for name, archive in archives.items() if _priority(archive) >= USUAL_PRIORITY] if low else []
    elsewhere = {match.decode() for name in usual for text in texts[name] for match in NAME.findall(text)}
    return Supply(dict(sorted(archive_of.items())), tuple(sorted(low & elsewhere)))


def _priority(archive: Archive) -> int:
    return USUAL_PRIORITY if archive.pin is None else archive.pin
