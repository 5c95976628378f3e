# SPDX-License-Identifier: MIT
"""Which channels a release goes into, and what becomes of a channel's file.

`stable` is for releases, `latest` for pre-releases too. A channel names the newest version that ever went into it, so
a repair of an old version does not pull people back to it, and it does not matter which of two releases at once is
the last to write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from builder.errors import RecipeError
from builder.packaging.model import CHANNEL_NAME, Channel, Entry, Release
from builder.packaging.tag import Tag, load_tag
from builder.release.target import Wish

STABLE, LATEST = "stable", "latest"


def make_wish(tag: Tag, asked: Sequence[str], *, back: bool) -> Wish:
    """Return the channels of a release: those that are asked for, else what fits the tag.

    Raises RecipeError for a name that is none, and for a pre-release in `stable`.
    """
    for name in asked:
        if not re.fullmatch(CHANNEL_NAME, name):
            raise RecipeError(f"--channel: {name!r} is no name", hint="small letters, digits and dashes: stable, beta")
    if tag.prerelease and STABLE in asked:
        raise RecipeError(
            f"{tag.text} is a pre-release and not for the channel stable", hint="--channel latest, or beta"
        )
    default = [LATEST] if tag.prerelease else [STABLE, LATEST]
    return Wish(tuple(dict.fromkeys(asked or default)), back)


def merge(name: str, before: Channel | None, release: Release, *, back: bool) -> Channel:
    """Return a channel after a release went into it; the same value when nothing changes.

    back  it names this release, also where it named a newer one
    """
    history = list(before.history) if before else []
    if release.tag not in {entry.tag for entry in history}:
        entry = Entry(tag=release.tag, version=release.version, date=release.date, boards=sorted(release.boards))
        history.insert(0, entry)
    is_newest = before is None or load_tag(release.tag).order >= load_tag(before.release.tag).order
    named = release if before is None or is_newest or back else before.release
    return Channel(channel=name, release=named, history=history)
