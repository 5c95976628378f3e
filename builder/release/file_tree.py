# SPDX-License-Identifier: MIT
"""Releases as a tree of files at a place: a bucket, a directory.

    <tag>/<board>/<files>     complete before anything names them, and never changed after that
    <tag>/release.json        written when all files of the tag are there
    channels/<channel>.json   written after that, only over what was read before (`Place.write`)
    <files of a catalogue>    made from all channels, written last

Without its release.json a tag was never released: what a broken run left there of other files is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import quote

from builder import log
from builder.errors import ReleaseError
from builder.packaging.model import RELEASE_NAME, Channel, Entry, File, Release, load_channel, load_release, render
from builder.packaging.tag import Tag, find_tag
from builder.release.channels import LATEST, STABLE, merge
from builder.release.collect import Item
from builder.release.target import Previous, Shipment, Step, What, Wish
from builder.system.checksums import sha256_bytes
from builder.units import render_size

ATTEMPTS = 20
"""How often a channel is read and written while others do the same."""


class ConflictError(Exception):
    """Somebody else has written what was to be written."""


@dataclass(frozen=True)
class Held:
    """What lies under a key, and the mark by which a change of it is noticed."""

    content: bytes
    mark: str


class Place(Protocol):
    """Where a tree is. Keys are paths with slashes, below the place."""

    @property
    def name(self) -> str:
        """How messages call it: "s3://bucket/prefix"."""

    def read(self, key: str) -> Held | None:
        """Return what is under a key, None when nothing is."""

    def write(self, key: str, content: bytes, *, mark: str | None, lasting: bool) -> None:
        """Write a small file if what is there still has this mark, or nothing is there (None); else ConflictError.

        lasting  whether it will never change
        """

    def list(self, folder: str) -> list[str]:
        """Return the keys of the files in a folder."""

    def compare(self, key: str, file: File) -> Literal["absent", "same", "other"]:
        """Say whether a file lies under a key."""

    def send(self, key: str, item: Item) -> None:
        """Put a file under a key, over whatever is there, and make sure that it arrived."""

    def tidy(self, folder: str) -> None:
        """Remove what broken runs left halfway below a folder."""


Catalogue = Callable[[Sequence[Release], Sequence[Channel]], Mapping[str, bytes]]
"""Makes files by name from all releases and channels of a place; the same files from the same input."""


@dataclass
class Tree:
    """A publisher for any place."""

    place: Place
    url: str = ""
    """Public address of the place; empty: not known."""
    catalogue: Catalogue | None = None
    """What makes files that list the releases, by name; None: there are none."""
    _tag: Tag | None = field(default=None, init=False)
    _there: set[str] = field(default_factory=set, init=False)
    """Keys whose files need not be sent."""
    _public: Release | None = field(default=None, init=False)
    """The release as it is public there; it counts, whatever another run for the same tag thinks."""

    @property
    def name(self) -> str:
        return self.place.name

    def look(self, shipment: Shipment) -> list[Step]:
        self._tag = shipment.tag
        self._public = self.find_release()
        steps = []
        for item in shipment.items:
            found = self.place.compare(self._key(item), item.file)
            if self._public and found != "same":
                raise _differs(self.name, shipment.tag.text, f"{item.board}/{item.file.name}", found)
            if found == "same":
                self._there.add(self._key(item))
            what: dict[str, What] = {"absent": "send", "same": "there", "other": "replace"}
            steps.append(Step(f"{item.board}/{item.file.name}", item.file.size_bytes, what[found]))
        return steps

    def find_release(self) -> Release | None:
        assert self._tag
        key = f"{self._tag.text}/{RELEASE_NAME}"
        held = self.place.read(key)
        return load_release(held.content, f"{self.name}/{key}") if held else None

    def find_previous(self, wish: Wish) -> Previous | None:
        assert self._tag
        entries = {entry.tag: entry for name in {STABLE, LATEST, *wish.channels} for entry in self._history(name)}
        tag = find_before(self._tag, list(entries))
        held = self.place.read(f"{tag}/{RELEASE_NAME}") if tag else None
        if not tag or not held:
            return None
        release = load_release(held.content, f"{self.name}/{tag}/{RELEASE_NAME}")
        return Previous(tag, release, {board: text for board, text in self._read_packages(release) if text})

    def send(self, shipment: Shipment, release: Release) -> None:
        missing = [item for item in shipment.items if self._key(item) not in self._there]
        if missing:
            size = render_size(sum(item.file.size_bytes for item in missing))
            with log.step(f"send {len(missing)} of {len(shipment.items)} files ({size}) to {self.name}"):
                for item in missing:
                    self.place.send(self._key(item), item)
        if not self._public:
            self.place.tidy(f"{shipment.tag.text}/")

    def publish(self, release: Release, wish: Wish) -> str:
        key = f"{release.tag}/{RELEASE_NAME}"
        if not self._public:
            self._publish(release, key)
        return f"{self.url or self.name}/{quote(key)}"

    def _publish(self, release: Release, key: str) -> None:
        for board, released in release.boards.items():  # Another run for this tag may have replaced one meanwhile.
            for file in released.files:
                if (found := self.place.compare(f"{release.tag}/{board}/{file.name}", file)) != "same":
                    raise _differs(self.name, release.tag, f"{board}/{file.name}", found)
        try:
            self.place.write(key, render(release), mark=None, lasting=True)
        except ConflictError:
            self._public = self.find_release()
            if self._public is None or self._public.boards != release.boards:
                raise _differs(self.name, release.tag, RELEASE_NAME, "other") from None

    def point(self, release: Release, wish: Wish) -> None:
        for name in wish.channels:
            self._point(name, self._public or release, back=wish.back)
        if self.catalogue:
            with log.step(f"list the releases of {self.name}"):
                write_catalogue(self.place, self.catalogue)

    def _point(self, name: str, release: Release, *, back: bool) -> None:
        key = f"channels/{name}.json"
        for _ in range(ATTEMPTS):
            held = self.place.read(key)
            before = load_channel(held.content, f"{self.name}/{key}") if held else None
            after = merge(name, before, release, back=back)
            if after == before:
                return _say_named(self.name, after, release)
            try:
                self.place.write(key, render(after), mark=held.mark if held else None, lasting=False)
            except ConflictError:
                continue  # Another release went into it meanwhile: both stay.
            return _say_named(self.name, after, release)
        raise ReleaseError(
            f"{self.name}/{key} was changed by others {ATTEMPTS} times while it was to be written",
            hint="run the same again: only the channels are left to do",
        )

    def _history(self, name: str) -> list[Entry]:
        key = f"channels/{name}.json"
        held = self.place.read(key)
        return load_channel(held.content, f"{self.name}/{key}").history if held else []

    def _read_packages(self, release: Release) -> Iterator[tuple[str, str]]:
        for board, released in release.boards.items():
            for file in released.package.files:
                if file.role == "packages":
                    held = self.place.read(f"{release.tag}/{board}/{file.name}")
                    is_intact = held is not None and sha256_bytes(held.content) == file.sha256
                    yield board, held.content.decode(errors="replace") if held and is_intact else ""

    def _key(self, item: Item) -> str:
        assert self._tag
        return f"{self._tag.text}/{item.board}/{item.file.name}"


def write_catalogue(place: Place, make: Catalogue) -> None:
    """Write the files that list all releases of a place; whoever writes last has seen all channels as they are."""
    for _ in range(ATTEMPTS):
        held = _read_channels(place)
        channels = [load_channel(each.content, f"{place.name}/{key}") for key, each in held.items()]
        tags = dict.fromkeys(entry.tag for channel in channels for entry in channel.history)
        keys = [f"{tag}/{RELEASE_NAME}" for tag in tags]
        releases = [load_release(each.content, f"{place.name}/{key}") for key in keys if (each := place.read(key))]
        try:
            for name, content in make(releases, channels).items():
                before = place.read(name)
                if before is None or before.content != content:
                    place.write(name, content, mark=before.mark if before else None, lasting=False)
        except ConflictError:
            continue
        if _read_channels(place) == held:
            return
    raise ReleaseError(
        f"{place.name} was changed by others {ATTEMPTS} times while its releases were to be listed",
        hint="run the same again: only the list is left to do",
    )


def _read_channels(place: Place) -> dict[str, Held]:
    keys = sorted(key for key in place.list("channels/") if key.endswith(".json"))
    return {key: held for key in keys if (held := place.read(key))}


def find_before(tag: Tag, tags: list[str]) -> str:
    """Return the newest of the tags that is older than one, for a release only of releases; empty for none."""
    found = [each for text in tags if (each := find_tag(text)) and each.order < tag.order]
    older = [each for each in found if tag.prerelease or not each.prerelease]
    return max(older, key=lambda each: each.order).text if older else ""


def _say_named(place: str, channel: Channel, release: Release) -> None:
    named = channel.release.tag
    still = "" if named == release.tag else f", which is newer than {release.tag}"
    log.note(f"{place}: channel {channel.channel} is {named}{still}")


def _differs(place: str, tag: str, name: str, found: str) -> ReleaseError:
    how = "is not there any more" if found == "absent" else "is another file there"
    return ReleaseError(
        f"{tag} is at {place} already, and {name} {how}",
        hint="a tag that is released does not change: release another, such as v1.0.1 after v1.0",
    )
