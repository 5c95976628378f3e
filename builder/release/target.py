# SPDX-License-Identifier: MIT
"""Interface of targets of releases. A new kind of target is a module with a class that has these methods, and a row in
targets.py. The function `make_publisher` of the module returns an object of the class.

A release is published in four steps: `look`, `send`, `publish`, `point`. Each runs for all targets before the next
begins. Each may be repeated: existing files and releases are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from builder.packaging.model import Channel, Release
from builder.packaging.tag import Tag
from builder.release.collect import CheckedImage, ReleaseFile

What = Literal["send", "there", "replace"]
Catalogue = Callable[[Sequence[Release], Sequence[Channel]], Mapping[str, bytes]]
"""Return files by name from all releases and channels of a store; the same input gives the same files."""


@dataclass(frozen=True)
class ReleaseContent:
    """The content of a release."""

    tag: Tag
    checked: Sequence[CheckedImage]

    @property
    def items(self) -> list[ReleaseFile]:
        """All files of all boards."""
        return [item for image in self.checked for item in image.items]


@dataclass(frozen=True)
class ChannelChoice:
    """The channels that should name the release."""

    channels: Sequence[str]
    back: bool = False
    """True if a channel may move from a newer release to this one."""


@dataclass(frozen=True)
class PlannedUpload:
    """The action for a file at a target."""

    name: str
    size_bytes: int
    what: What


@dataclass(frozen=True)
class Previous:
    """The release that the notes are compared with."""

    tag: str
    release: Release | None
    """None if the target does not have this data."""
    packages: dict[str, str]
    """Text of the list of packages, by board."""


@dataclass(frozen=True)
class PublisherConfig:
    """Settings of targets besides their address."""

    url: str = ""
    """Public URL of trees; empty if not known."""
    tag_object: str = ""
    """SHA of the tag in the local checkout; "" if there is no tag."""
    catalogue: Catalogue | None = None
    """Function that makes the files of the catalogue of a tree."""


class Publisher(Protocol):
    """A target of releases.

    Its methods raise ReleaseError (it refuses the release), DownloadError (its server does not answer), TrustError (an
    upload was damaged) and RecipeError (missing credentials).
    """

    @property
    def name(self) -> str:
        """Name in messages: "github:owner/repo"."""

    def look(self, release_content: ReleaseContent) -> list[PlannedUpload]:
        """Return the action for each file, without changes; ReleaseError if the tag is public with other files."""

    def find_release(self) -> Release | None:
        """Return the release if it is public already, else None. Call `look` first."""

    def find_previous(self, choice: ChannelChoice) -> Previous | None:
        """Return the previous release at this target, or None. Call `look` first."""

    def send(self, release_content: ReleaseContent, release: Release) -> None:
        """Upload all files and check that they arrived. The release is not visible yet."""

    def publish(self, release: Release, choice: ChannelChoice) -> str:
        """Make the complete release public and return its URL."""

    def point(self, release: Release, choice: ChannelChoice) -> None:
        """Update the channels."""
