# SPDX-License-Identifier: MIT
"""Interface of targets of releases. A new target is a class with these methods, and a row in targets.py.

A release is published in four steps: `look`, `send`, `publish`, `point`. Each runs for all targets before the next
begins. Each may be repeated: existing files and releases are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from builder.packaging.model import Release
from builder.packaging.tag import Tag
from builder.release.collect import CheckedImage, ReleaseFile

What = Literal["send", "there", "replace"]


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

    def find_previous(self, wish: ChannelChoice) -> Previous | None:
        """Return the previous release at this target, or None. Call `look` first."""

    def send(self, release_content: ReleaseContent, release: Release) -> None:
        """Upload all files and check that they arrived. The release is not visible yet."""

    def publish(self, release: Release, wish: ChannelChoice) -> str:
        """Make the complete release public and return its URL."""

    def point(self, release: Release, wish: ChannelChoice) -> None:
        """Update the channels."""
