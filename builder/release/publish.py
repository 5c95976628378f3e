# SPDX-License-Identifier: MIT
"""Publish a release at all its targets, in a safe order.

All files are uploaded and checked at all targets before the first target shows the release; channels move last. After
any failure, the same call continues. Existing files are not uploaded again. If a target shows the release already, its
date and notes are used for the others.
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
from builder.release.target import ChannelChoice, PlannedUpload, Publisher, ReleaseContent


@dataclass(frozen=True)
class PublishRequest:
    """A request to publish a release."""

    release_content: ReleaseContent
    choice: ChannelChoice
    url: str
    """Public URL of the directory of releases; empty if not known."""
    checkout: Path
    """A directory in the git checkout with the tag."""
    now: Callable[[], datetime]


@dataclass(frozen=True)
class TargetResult:
    """The result of publishing at one target."""

    target: str
    steps: Sequence[PlannedUpload]
    """Actions by file, decided before the first upload."""
    address: str
    """URL of the release; empty after a dry run."""


def dry_run(publishers: Sequence[Publisher], order: PublishRequest) -> list[TargetResult]:
    """Return the steps of `publish` at each target, without changes. Raises the errors of `publish`."""
    with log.step("check the targets"):
        planned = [(publisher, publisher.look(order.release_content)) for publisher in publishers]
        _decide(publishers, order)
    return [TargetResult(publisher.name, steps, "") for publisher, steps in planned]


def publish(publishers: Sequence[Publisher], order: PublishRequest) -> tuple[Release, list[TargetResult]]:
    """Publish at all targets; return the content of `release.json`, and the result of each target.

    Raises ReleaseError, DownloadError, TrustError. Then no incomplete release is public, and the same call continues.
    """
    with log.step("check the targets"):
        planned = [(publisher, publisher.look(order.release_content)) for publisher in publishers]
        release = _decide(publishers, order)
    for publisher in publishers:
        publisher.send(order.release_content, release)
    with log.step(f"publish {release.tag}"):
        addresses = [publisher.publish(release, order.choice) for publisher in publishers]
        for publisher in publishers:
            publisher.point(release, order.choice)
    rows = zip(planned, addresses, strict=True)
    return release, [TargetResult(publisher.name, steps, address) for (publisher, steps), address in rows]


def _decide(publishers: Sequence[Publisher], order: PublishRequest) -> Release:
    """Return the release that a target shows, or a new one; raise ReleaseError if a target shows other images."""
    boards = {image.board: image.released for image in order.release_content.checked}
    public = [(publisher.name, release) for publisher in publishers if (release := publisher.find_release())]
    for name, release in public:
        if release.boards != boards:
            names = sorted(release.boards.keys() ^ boards.keys()) or sorted(boards)
            raise ReleaseError(
                f"{release.tag} is published at {name} already, with other images: {', '.join(names)}",
                hint="a published release cannot change: release a new version, such as v1.0.1 after v1.0",
            )
    return public[0][1] if public else _describe(publishers, order)


def _describe(publishers: Sequence[Publisher], order: PublishRequest) -> Release:
    tag = order.release_content.tag
    candidates = (publisher.find_previous(order.choice) for publisher in publishers)
    previous = next((release for release in candidates if release), None)
    commits = list_commits(order.checkout, previous.tag, tag.text) if previous else []
    if commits is None and previous:
        log.warn(f"release notes without commits: git has no {previous.tag} or no {tag.text} (a shallow clone?)")
    return Release(
        tag=tag.text,
        version=tag.version,
        prerelease=tag.prerelease,
        date=order.now().replace(microsecond=0),
        commit=find_commit(order.checkout, tag.text),
        previous=previous.tag if previous else "",
        notes=render_notes(order.release_content, previous, commits),
        url=order.url,
        boards={image.board: image.released for image in order.release_content.checked},
    )
