# SPDX-License-Identifier: MIT
"""The catalogue of a tree of releases, made again from what lies there.

What it replaces is read before it is made, and only that is replaced. So of two releases at once the later writer has
seen what the earlier one released, and none of them is missing from the lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from builder import log
from builder.errors import ReleaseError
from builder.release.addresses import Addresses
from builder.release.catalogue import PLAIN, make_catalogue
from builder.release.index import Site
from builder.release.model import Channel, Release, load_channel, load_release

ATTEMPTS = 20
"""How often it is made while others write it too."""
MOST = 50
"""Older releases that are listed."""


class Held(Protocol):
    """A file that is there, and the mark by which a change of it is noticed."""

    @property
    def content(self) -> bytes: ...
    @property
    def mark(self) -> str: ...


class Shelf(Protocol):
    """Where the tree is; keys are paths with slashes."""

    def read(self, key: str) -> Held | None:
        """Return what is under a key, None when nothing is."""

    def write(self, key: str, content: bytes, *, mark: str | None, lasting: bool) -> None:
        """Write over what has this mark, or where nothing is (None)."""


def refresh(
    shelf: Shelf,
    channels: Iterable[str],
    addresses: Addresses,
    site: Site = PLAIN,
    *,
    conflict: type[Exception],
) -> list[str]:
    """Make the catalogue of all that these channels name or have named, write what changed, and return its names.

    conflict  what `shelf.write` raises when somebody else has written meanwhile

    Raises ReleaseError (what lies there is no channel or release, or others write all the time) and what the shelf
    raises.
    """
    known: dict[str, Release] = {}
    names = list(dict.fromkeys(channels))
    for _ in range(ATTEMPTS):
        listed = _make(shelf, names, known, addresses, site)
        before = {name: shelf.read(name) for name in listed}
        made = _make(shelf, names, known, addresses, site)
        if made.keys() != listed.keys():
            continue  # A channel moved just now.
        changed = {name: held for name, held in before.items() if held is None or held.content != made[name]}
        try:
            for name, held in changed.items():
                shelf.write(name, made[name], mark=held.mark if held else None, lasting=False)
        except conflict:
            continue
        log.note(f"catalogue: {len(changed)} of {len(made)} files written")
        return list(changed)
    hint = "run the same again: only the catalogue is left to do"
    raise ReleaseError(f"the catalogue was changed by others {ATTEMPTS} times while it was to be written", hint=hint)


def _make(
    shelf: Shelf, names: Sequence[str], known: dict[str, Release], addresses: Addresses, site: Site
) -> dict[str, bytes]:
    channels = list(_channels(shelf, names))
    return dict(make_catalogue(_releases(shelf, channels, known), channels, addresses, site))


def _channels(shelf: Shelf, names: Sequence[str]) -> Iterator[Channel]:
    for name in names:
        key = f"channels/{name}.json"
        if held := shelf.read(key):
            yield load_channel(held.content, key)


def _releases(shelf: Shelf, channels: Sequence[Channel], known: dict[str, Release]) -> list[Release]:
    """Return the releases that channels have named; one that was taken away is left out.

    known  those that were read already: a release does not change
    """
    entries = {entry.tag: entry for channel in channels for entry in channel.history}
    shown = {channel.release.tag for channel in channels}
    older = sorted(
        (entry for entry in entries.values() if entry.tag not in shown), key=lambda it: it.date, reverse=True
    )
    for entry in older[:MOST]:
        key = f"{entry.tag}/release.json"
        if entry.tag not in known and (held := shelf.read(key)):
            known[entry.tag] = load_release(held.content, key)
    return [known[entry.tag] for entry in older[:MOST] if entry.tag in known]
