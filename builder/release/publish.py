# SPDX-License-Identifier: MIT
"""The order in which a release becomes public at all its targets.

Everything is uploaded everywhere and has arrived before anybody is shown anything; channels move last. Whatever breaks
this off, the same call again goes on with it: files that are there are not sent twice, and a target that shows the
release already decides its date and notes for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from builder import log
from builder.errors import ReleaseError
from builder.packaging.model import Release
from builder.release.git_history import find_commit, list_commits
from builder.release.notes import render_notes
from builder.release.target import Publisher, Shipment, Step, Wish


@dataclass(frozen=True)
class Order:
    """How a release is made."""

    shipment: Shipment
    wish: Wish
    url: str
    """Public address of the directory of the releases; empty: not known."""
    checkout: Path
    """A directory of the git checkout that has the tag."""
    now: Callable[[], datetime]


@dataclass(frozen=True)
class Delivered:
    """What became of a release at a target."""

    target: str
    steps: Sequence[Step]
    """What was found before anything was sent."""
    address: str
    """Empty: nothing was done, it was only asked what would be."""


def foresee(publishers: Sequence[Publisher], order: Order) -> list[Delivered]:
    """Return what `deliver` would do at each target; nothing is changed. Raises as `deliver`."""
    with log.step("look what is there"):
        looked = [(publisher, publisher.look(order.shipment)) for publisher in publishers]
        _decide(publishers, order)
    return [Delivered(publisher.name, steps, "") for publisher, steps in looked]


def deliver(publishers: Sequence[Publisher], order: Order) -> tuple[Release, list[Delivered]]:
    """Release at all targets and return what `release.json` says, and what became of it.

    Raises ReleaseError, DownloadError, TrustError. Then nothing is public that is not complete, and the same call again
    goes on.
    """
    with log.step("look what is there"):
        looked = [(publisher, publisher.look(order.shipment)) for publisher in publishers]
        release = _decide(publishers, order)
    for publisher in publishers:
        publisher.send(order.shipment, release)
    with log.step(f"publish {release.tag}"):
        addresses = [publisher.publish(release, order.wish) for publisher in publishers]
        for publisher in publishers:
            publisher.point(release, order.wish)
    rows = zip(looked, addresses, strict=True)
    return release, [Delivered(publisher.name, steps, address) for (publisher, steps), address in rows]


def _decide(publishers: Sequence[Publisher], order: Order) -> Release:
    """Return the release as it is public at a target, or a new one; ReleaseError where another one is public."""
    boards = {parcel.board: parcel.released for parcel in order.shipment.parcels}
    public = [(publisher.name, found) for publisher in publishers if (found := publisher.find_release())]
    for name, found in public:
        if found.boards != boards:
            names = sorted(found.boards.keys() ^ boards.keys()) or sorted(boards)
            raise ReleaseError(
                f"{found.tag} is at {name} already, with other images: {', '.join(names)}",
                hint="a tag that is released does not change: release another, such as v1.0.1 after v1.0",
            )
    return public[0][1] if public else _describe(publishers, order)


def _describe(publishers: Sequence[Publisher], order: Order) -> Release:
    tag = order.shipment.tag
    previous = next((found for each in publishers if (found := each.find_previous(order.wish))), None)
    commits = list_commits(order.checkout, previous.tag, tag.text) if previous else []
    if commits is None and previous:
        log.warn(f"the notes name no commits: git knows not both of {previous.tag} and {tag.text} (a shallow clone?)")
    return Release(
        tag=tag.text,
        version=tag.version,
        prerelease=tag.prerelease,
        date=order.now().replace(microsecond=0),
        commit=find_commit(order.checkout, tag.text),
        previous=previous.tag if previous else "",
        notes=render_notes(order.shipment, previous, commits),
        url=order.url,
        boards={parcel.board: parcel.released for parcel in order.shipment.parcels},
    )
