# SPDX-License-Identifier: MIT
"""What there is to list: the release that most people want, what moves ahead of it, and what came before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.packaging.model import Channel, Release

STABLE = "stable"
MOST = 30
"""Older releases that are listed; what came before is still where it was."""


@dataclass(frozen=True)
class Listed:
    """Releases, sorted by who wants them."""

    stable: Release | None
    """What the channel stable names."""
    moving: tuple[Channel, ...]
    """The other channels that name something else."""
    older: tuple[Release, ...]
    """Of all the others the newest, newest first."""

    @property
    def releases(self) -> tuple[Release, ...]:
        """Each release once, in this order."""
        every = [*([self.stable] if self.stable else []), *(each.release for each in self.moving), *self.older]
        return tuple({release.tag: release for release in every}.values())


def sort_releases(releases: Sequence[Release], channels: Sequence[Channel]) -> Listed:
    """Return releases and channels in the order of the lists. What a channel names need not be among the releases."""
    by_name = {channel.channel: channel for channel in channels}
    stable = by_name[STABLE].release if STABLE in by_name else None
    moving = tuple(
        by_name[name] for name in sorted(by_name) if stable is None or by_name[name].release.tag != stable.tag
    )
    shown = {channel.release.tag for channel in channels}
    older = [release for release in releases if release.tag not in shown]
    return Listed(stable, moving, tuple(sorted(older, key=lambda release: release.date, reverse=True)[:MOST]))
