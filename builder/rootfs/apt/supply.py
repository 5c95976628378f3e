# SPDX-License-Identifier: MIT
"""Which archive of a recipe each package is of, by the digests in the archives' indexes.

An address does not tell: trixie and trixie-backports lie in one pool.
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
"""APT's own for an archive (apt_preferences(5))."""
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


def find_supply(
    packages: Sequence[Archived], archives: Mapping[str, Archive], asked: Sequence[str], indexes: Sequence[Index]
) -> Supply:
    """Return where packages come from.

    asked    the plan's packages; one with a suite of its own ("tool/trixie-backports") overrides nothing
    indexes  those that APT has of the archives
    """
    texts = {
        name: [Path(each.file).read_bytes() for each in indexes if each.is_of(archives[name])] for name in archives
    }
    names = {package.sha256.encode(): package.name for package in packages}
    found: dict[str, str] = {}
    for archive in sorted(archives, key=lambda name: -_priority(archives[name])):
        digests = {digest for text in texts[archive] for digest in _DIGEST.findall(text)}
        for digest in digests & names.keys():
            found.setdefault(names[digest], archive)
    exact = {name_of(text) for text in asked if name_of(text) != text}
    low = {name for name, archive in found.items() if _priority(archives[archive]) < USUAL_PRIORITY} - exact
    usual = [name for name, archive in archives.items() if _priority(archive) >= USUAL_PRIORITY] if low else []
    elsewhere = {match.decode() for name in usual for text in texts[name] for match in NAME.findall(text)}
    return Supply(dict(sorted(found.items())), tuple(sorted(low & elsewhere)))


def _priority(archive: Archive) -> int:
    return USUAL_PRIORITY if archive.pin is None else archive.pin
