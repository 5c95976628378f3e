# SPDX-License-Identifier: MIT
"""Publish releases as a tree of files in a store: a bucket or a directory.

    <tag>/<board>/<files>     complete before any other file refers to them, and never changed afterwards
    <tag>/release.json        written when all files of the tag exist
    channels/<channel>.json   written next, only if it is unchanged since it was read (`FileStore.write`)
    <files of a catalogue>    made from all channels, written last

A tag without release.json was never released: other files that a failed run left there are replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import quote

from builder import log
from builder.errors import ReleaseError
from builder.packaging.model import (
    RELEASE_NAME,
    Channel,
    ChannelEntry,
    PackagedFile,
    Release,
    load_channel,
    load_release,
    render,
)
from builder.packaging.tag import Tag, find_tag
from builder.release.channels import LATEST, STABLE, merge
from builder.release.collect import ReleaseFile
from builder.release.target import Catalogue, ChannelChoice, PlannedUpload, Previous, ReleaseContent, What
from builder.system.checksums import sha256_bytes
from builder.units import render_size

ATTEMPTS = 20
"""Number of attempts to update a channel while other programs change it."""


class ConflictError(Exception):
    """Another program has changed the file meanwhile."""


@dataclass(frozen=True)
class StoredObject:
    """A stored object, with a mark that differs after each change (as an ETag)."""

    content: bytes
    mark: str


class FileStore(Protocol):
    """A store of files. Keys are paths with slashes, relative to the store."""

    @property
    def name(self) -> str:
        """Name in messages: "s3://bucket/prefix"."""

    def read(self, key: str) -> StoredObject | None:
        """Return the object at a key, or None."""

    def write(self, key: str, content: bytes, *, mark: str | None, lasting: bool) -> None:
        """Write a small file if the object still has this mark (None: does not exist); else raise ConflictError.

        lasting  True if the file will never change
        """

    def list(self, folder: str) -> list[str]:
        """Return the keys of the files in a folder."""

    def compare(self, key: str, file: PackagedFile) -> Literal["absent", "same", "other"]:
        """Compare the object at a key with a file."""

    def send(self, key: str, item: ReleaseFile) -> None:
        """Upload a file to a key, replace an existing object, and check that the upload is intact."""

    def tidy(self, folder: str) -> None:
        """Remove unfinished uploads of failed runs below a folder."""


@dataclass
class FileTreePublisher:
    """A publisher for any store of files."""

    store: FileStore
    url: str = ""
    """Public URL of the store; empty if not known."""
    catalogue: Catalogue | None = None
    """Function that makes the files of the catalogue, or None."""
    _tag: Tag | None = field(default=None, init=False)
    _there: set[str] = field(default_factory=set, init=False)
    """Keys of files that exist already."""
    _public: Release | None = field(default=None, init=False)
    """The published release. It has priority over the release of this run."""

    @property
    def name(self) -> str:
        return self.store.name

    def look(self, release_content: ReleaseContent) -> list[PlannedUpload]:
        self._tag = release_content.tag
        self._public = self.find_release()
        steps = []
        for item in release_content.items:
            state = self.store.compare(self._key(item), item.file)
            if self._public and state != "same":
                raise _differs(self.name, release_content.tag.text, f"{item.board}/{item.file.name}", state)
            if state == "same":
                self._there.add(self._key(item))
            action: dict[str, What] = {"absent": "send", "same": "there", "other": "replace"}
            steps.append(PlannedUpload(f"{item.board}/{item.file.name}", item.file.size_bytes, action[state]))
        return steps

    def find_release(self) -> Release | None:
        assert self._tag
        key = f"{self._tag.text}/{RELEASE_NAME}"
        stored = self.store.read(key)
        return load_release(stored.content, f"{self.name}/{key}") if stored else None

    def find_previous(self, choice: ChannelChoice) -> Previous | None:
        assert self._tag
        entries = {entry.tag: entry for name in {STABLE, LATEST, *choice.channels} for entry in self._history(name)}
        tag = find_before(self._tag, list(entries))
        stored = self.store.read(f"{tag}/{RELEASE_NAME}") if tag else None
        if not tag or not stored:
            return None
        release = load_release(stored.content, f"{self.name}/{tag}/{RELEASE_NAME}")
        return Previous(tag, release, {board: text for board, text in self._read_packages(release) if text})

    def send(self, release_content: ReleaseContent, release: Release) -> None:
        missing = [item for item in release_content.items if self._key(item) not in self._there]
        if missing:
            size = render_size(sum(item.file.size_bytes for item in missing))
            with log.step(f"send {len(missing)} of {len(release_content.items)} files ({size}) to {self.name}"):
                for item in missing:
                    self.store.send(self._key(item), item)
        if not self._public:
            self.store.tidy(f"{release_content.tag.text}/")

    def publish(self, release: Release, choice: ChannelChoice) -> str:
        key = f"{release.tag}/{RELEASE_NAME}"
        if not self._public:
            self._publish(release, key)
        return f"{self.url or self.name}/{quote(key)}"

    def _publish(self, release: Release, key: str) -> None:
        for board, released in release.boards.items():  # Another run for this tag may have replaced a file meanwhile.
            for file in released.files:
                if (state := self.store.compare(f"{release.tag}/{board}/{file.name}", file)) != "same":
                    raise _differs(self.name, release.tag, f"{board}/{file.name}", state)
        try:
            self.store.write(key, render(release), mark=None, lasting=True)
        except ConflictError:
            self._public = self.find_release()
            if self._public is None or self._public.boards != release.boards:
                raise _differs(self.name, release.tag, RELEASE_NAME, "other") from None

    def point(self, release: Release, choice: ChannelChoice) -> None:
        for name in choice.channels:
            self._point(name, self._public or release, back=choice.back)
        if self.catalogue:
            with log.step(f"list the releases of {self.name}"):
                write_catalogue(self.store, self.catalogue)

    def _point(self, name: str, release: Release, *, back: bool) -> None:
        key = f"channels/{name}.json"
        for _ in range(ATTEMPTS):
            stored = self.store.read(key)
            before = load_channel(stored.content, f"{self.name}/{key}") if stored else None
            after = merge(name, before, release, back=back)
            if after == before:
                return _say_named(self.name, after, release)
            try:
                self.store.write(key, render(after), mark=stored.mark if stored else None, lasting=False)
            except ConflictError:
                continue  # Another release was added meanwhile: keep both.
            return _say_named(self.name, after, release)
        raise ReleaseError(
            f"{self.name}/{key} was changed by other programs {ATTEMPTS} times while it was being updated",
            hint="run the same command again: only the channels remain to be updated",
        )

    def _history(self, name: str) -> list[ChannelEntry]:
        key = f"channels/{name}.json"
        stored = self.store.read(key)
        return load_channel(stored.content, f"{self.name}/{key}").history if stored else []

    def _read_packages(self, release: Release) -> Iterator[tuple[str, str]]:
        for board, released in release.boards.items():
            for file in released.image.files:
                if file.role == "packages":
                    stored = self.store.read(f"{release.tag}/{board}/{file.name}")
                    is_intact = stored is not None and sha256_bytes(stored.content) == file.sha256
                    yield board, stored.content.decode(errors="replace") if stored and is_intact else ""

    def _key(self, item: ReleaseFile) -> str:
        assert self._tag
        return f"{self._tag.text}/{item.board}/{item.file.name}"


def write_catalogue(store: FileStore, make: Catalogue) -> None:
    """Write the files that list all releases of a store; repeat if a channel has changed meanwhile."""
    for _ in range(ATTEMPTS):
        before_write = _read_channels(store)
        channels = [load_channel(stored.content, f"{store.name}/{key}") for key, stored in before_write.items()]
        tags = dict.fromkeys(entry.tag for channel in channels for entry in channel.history)
        keys = [f"{tag}/{RELEASE_NAME}" for tag in tags]
        releases = [load_release(stored.content, f"{store.name}/{key}") for key in keys if (stored := store.read(key))]
        try:
            for name, content in make(releases, channels).items():
                before = store.read(name)
                if before is None or before.content != content:
                    store.write(name, content, mark=before.mark if before else None, lasting=False)
        except ConflictError:
            continue
        if _read_channels(store) == before_write:
            return
    raise ReleaseError(
        f"{store.name} was changed by other programs {ATTEMPTS} times while the list of releases was being updated",
        hint="run the same command again: only the list remains to be updated",
    )


def _read_channels(store: FileStore) -> dict[str, StoredObject]:
    keys = sorted(key for key in store.list("channels/") if key.endswith(".json"))
    return {key: stored for key in keys if (stored := store.read(key))}


def find_before(tag: Tag, tags: list[str]) -> str:
    """Return the newest of the tags that is older than `tag`, or ""; for a release, pre-releases do not count."""
    older = [other for text in tags if (other := find_tag(text)) and other.order < tag.order]
    candidates = [other for other in older if tag.prerelease or not other.prerelease]
    return max(candidates, key=lambda other: other.order).text if candidates else ""


def _say_named(target: str, channel: Channel, release: Release) -> None:
    named = channel.release.tag
    newer = "" if named == release.tag else f", which is newer than {release.tag}"
    log.note(f"{target}: channel {channel.channel} is {named}{newer}")


def _differs(target: str, tag: str, name: str, state: str) -> ReleaseError:
    problem = "is missing there" if state == "absent" else "differs there"
    return ReleaseError(
        f"{tag} is published at {target} already, but {name} {problem}",
        hint="a published release cannot change: release a new version, such as v1.0.1 after v1.0",
    )
