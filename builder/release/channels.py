# SPDX-License-Identifier: MIT
"""Choose the channels of a release, and update the files of channels.

`stable` is for releases, `latest` for pre-releases too. A channel always names the newest version that was added to
it. So a fix of an old version does not move users back. The result is also the same for any order of two parallel
releases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from builder.errors import RecipeError
from builder.packaging.model import CHANNEL_NAME, Channel, ChannelEntry, Release
from builder.packaging.tag import Tag, load_tag
from builder.release.target import ChannelChoice

STABLE, LATEST = "stable", "latest"


def choose_channels(tag: Tag, names: Sequence[str], *, back: bool) -> ChannelChoice:
    """Return the channels of a release: the requested ones, else the defaults for the tag.

    Raises RecipeError for an invalid name, and for a pre-release in `stable`.
    """
    for name in names:
        if not re.fullmatch(CHANNEL_NAME, name):
            message = f"--channel: found {name!r}; expected lower-case letters, digits and dashes"
            raise RecipeError(message, hint="use a name such as stable or beta")
    if tag.prerelease and STABLE in names:
        raise RecipeError(
            f"--channel: found stable for the pre-release {tag.text}; expected another channel",
            hint="use --channel latest, or a name such as beta",
        )
    default = [LATEST] if tag.prerelease else [STABLE, LATEST]
    return ChannelChoice(tuple(dict.fromkeys(names or default)), back)


def merge(name: str, before: Channel | None, release: Release, *, back: bool) -> Channel:
    """Return a channel with a release added; an equal value if nothing changes.

    back  let the channel name this release even if it named a newer one
    """
    history = list(before.history) if before else []
    if release.tag not in {entry.tag for entry in history}:
        entry = ChannelEntry(tag=release.tag, version=release.version, date=release.date, boards=sorted(release.boards))
        history.insert(0, entry)
    is_newest = before is None or load_tag(release.tag).order >= load_tag(before.release.tag).order
    named = release if before is None or is_newest or back else before.release
    return Channel(channel=name, release=named, history=history)
