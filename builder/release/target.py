# SPDX-License-Identifier: MIT
"""What a target of releases can do. One is a small class with these methods, and a row in builder/release/targets.py.

A release becomes public in four steps, each for all targets before the next begins: `look`, `send`, `publish`,
`point`. Each may be repeated: what is there already is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from builder.packaging.model import Release
from builder.packaging.tag import Tag
from builder.release.collect import Item, Parcel

What = Literal["send", "there", "replace"]


@dataclass(frozen=True)
class Shipment:
    """What is to be released."""

    tag: Tag
    parcels: Sequence[Parcel]

    @property
    def items(self) -> list[Item]:
        """All files of all boards."""
        return [item for parcel in self.parcels for item in parcel.items]


@dataclass(frozen=True)
class Wish:
    """Which channels are to name the release."""

    channels: Sequence[str]
    back: bool = False
    """Whether a channel may go from a newer release to this one."""


@dataclass(frozen=True)
class Step:
    """What becomes of a file at a target."""

    name: str
    size_bytes: int
    what: What


@dataclass(frozen=True)
class Previous:
    """The release that the notes compare with."""

    tag: str
    release: Release | None
    """None: the target does not say."""
    packages: dict[str, str]
    """Text of each board's list of packages, by name of the board."""


class Publisher(Protocol):
    """A target. Its methods raise ReleaseError (it does not take the release), DownloadError (its server does not
    answer), TrustError (what arrived is not what was sent), RecipeError (no credentials)."""

    @property
    def name(self) -> str:
        """How messages call it: "github:owner/repo"."""

    def look(self, shipment: Shipment) -> list[Step]:
        """Return what becomes of each file; nothing is changed. ReleaseError when the tag has other files there."""

    def find_release(self) -> Release | None:
        """Return the release as it is public there already, None when it is not; called after `look`."""

    def find_previous(self, wish: Wish) -> Previous | None:
        """Return the release before this one there, None for the first; called after `look`."""

    def send(self, shipment: Shipment, release: Release) -> None:
        """Upload every file and make sure that it arrived. Nobody is shown the release yet."""

    def publish(self, release: Release, wish: Wish) -> str:
        """Show the complete release to everybody and return its address."""

    def point(self, release: Release, wish: Wish) -> None:
        """Let channels name it."""
