# SPDX-License-Identifier: MIT
"""Sort releases for the catalogue: stable, other channels, older releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.packaging.model import Channel, Release

STABLE = "stable"
MOST = 30
"""Maximum number of older releases in the lists. The others stay available at their URLs."""


@dataclass(frozen=True)
class ReleaseList:
    """Releases in the order of the page."""

    stable: Release | None
    """The release of the channel stable."""
    moving: tuple[Channel, ...]
    """The other channels with another release."""
    older: tuple[Release, ...]
    """The newest of all other releases, newest first."""

    @property
    def releases(self) -> tuple[Release, ...]:
        """All releases in this order, without duplicates."""
        every = [*([self.stable] if self.stable else []), *(channel.release for channel in self.moving), *self.older]
        return tuple({release.tag: release for release in every}.values())


def sort_releases(releases: Sequence[Release], channels: Sequence[Channel]) -> ReleaseList:
    """Return releases and channels in the order of the lists; the release of a channel may be missing in `releases`."""
    by_name = {channel.channel: channel for channel in channels}
    stable = by_name[STABLE].release if STABLE in by_name else None
    moving = tuple(
        by_name[name] for name in sorted(by_name) if stable is None or by_name[name].release.tag != stable.tag
    )
    shown = {channel.release.tag for channel in channels}
    older = [release for release in releases if release.tag not in shown]
    return ReleaseList(stable, moving, tuple(sorted(older, key=lambda release: release.date, reverse=True)[:MOST]))
