# SPDX-License-Identifier: MIT
"""What is handed on to others: a packaged image, as the directory that holds it says.

A directory of a packaged image is complete or absent. `<name>.package.json` in it describes the rest; nothing that
publishes, lists or fetches an image looks anywhere else for a fact. `<name>` is that of the image without suffix
("boardwright-rpi-1.0"), and every file of the directory starts with it, so that files of several boards fit into one
flat place such as a GitHub release.

A release is some of these directories and `release.json`, which says what they are. A channel is a moving name for one
of the releases of a place; its file says which, and which it named before.

    <tag>/<board>/<files>     a packaged image; a GitHub release has the files of all boards in one flat place
    <tag>/release.json        the release
    channels/<channel>.json   a channel
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import model_validator

from builder.errors import ReleaseError
from builder.recipe.described import load_described
from builder.recipe.facts import ByteCount, Count, Moment, When
from builder.recipe.values import (
    LINES,
    BoardName,
    Frozen,
    ImagerName,
    PlainName,
    Prose,
    Sha256,
    Url,
    Version,
    Word,
    text,
)
from builder.system.files import read_bytes
from builder.units import MIB

SUFFIX = ".package.json"
RELEASE_NAME = "release.json"
LONGEST_NOTES = 1 << 20
LONGEST = 16 * MIB
"""Of a file that describes."""
CHANNEL_NAME = r"[a-z0-9][a-z0-9-]*"

Commit = Annotated[str, text(r"^([0-9a-f]{40}|[0-9a-f]{64})?$", "the id of a commit")]
MountPath = Annotated[str, text(r"^(/[^\x00-\x1f\x7f]*)?$", "a mount point")]
Notes = Annotated[str, text(LINES, "lines of text", max_length=LONGEST_NOTES)]

Role = Literal["image", "bmap", "packages", "sbom", "report", "provenance", "sums", "signature", "manifest", "other"]


class File(Frozen):
    """A file of the directory."""

    name: PlainName
    role: Role
    size_bytes: ByteCount
    sha256: Sha256


class Specs(Frozen):
    """What the specs said, and of what."""

    passed: Count
    failed: Count
    skipped: Count
    levels: list[Word]
    image_sha256: Sha256
    """Digest of the image file that they were run on, as the report says it."""


class Partition(Frozen):
    """A partition of the image, as people are told about it."""

    name: Prose
    filesystem: Word | Literal[""]
    """Empty: none."""
    size_bytes: ByteCount
    mount: MountPath = ""


class Package(Frozen):
    """A packaged image."""

    format: Literal[1] = 1
    name: PlainName
    """"boardwright-rpi-1.0"."""
    board: BoardName
    title: Prose
    architecture: Word
    features: list[Word]
    imager: list[ImagerName] = []
    """Names by which Raspberry Pi Imager knows the hardware ("pi4-64bit"); none: it is not listed by hardware."""
    version: Version
    epoch: Moment
    """SOURCE_DATE_EPOCH of the build, seconds since 1970."""
    valid_until: Moment = 0
    """When a newer one will have taken its place, seconds since 1970; 0: not known. A later fetch is warned:
    a server may be keeping the newer one back."""
    image_size_bytes: ByteCount
    """Of the image, not compressed."""
    image_sha256: Sha256
    """Of the image, not compressed."""
    specs: Specs | None
    """None: they were not run."""
    partitions: list[Partition] = []
    """In the order of the disk; none: not known."""
    files: list[File]
    """All files of the directory but this description and what signs it."""

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        """So that no file is written, or taken for something else, by a name that its publisher chose."""
        if self.name != f"boardwright-{self.board}-{self.version}":
            raise ValueError(f"found the name {self.name!r}; allowed: boardwright-{self.board}-{self.version}")
        for file in self.files:
            if not file.name.startswith(f"{self.name}."):
                raise ValueError(f"found the file {file.name!r}; allowed: names that begin with {self.name}.")
        return self


class Released(Frozen):
    """A packaged image of a release."""

    package: Package
    signed: list[File]
    """The description `<name>.package.json` and what signs it: the files that `package.files` cannot name."""

    @property
    def files(self) -> list[File]:
        """All files of the packaged image."""
        return [*self.package.files, *self.signed]


class Release(Frozen):
    """What `release.json` says. Where it lies, the files it names are complete."""

    format: Literal[1] = 1
    tag: Version
    """"v1.0"."""
    version: Version
    """"1.0"."""
    prerelease: bool
    date: When
    """When it was released, UTC."""
    commit: Commit = ""
    """Of the tag; empty: not known."""
    previous: Version | Literal[""] = ""
    """Tag of the release that the notes compare with; empty: this is the first."""
    notes: Notes
    """Markdown."""
    url: Url | Literal[""] = ""
    """Public address of the directory of the releases, no slash at its end: files are at URL/<tag>/<board>/<name>.
    Empty: it is known only to whoever found this file."""
    boards: dict[BoardName, Released]
    """By name of the board."""


class Entry(Frozen):
    """A release that a channel has named."""

    tag: Version
    version: Version
    date: When
    boards: list[BoardName]


class Channel(Frozen):
    """What `channels/<channel>.json` says."""

    format: Literal[1] = 1
    channel: Word
    release: Release
    """The one that it names."""
    history: list[Entry]
    """Every release that went into it, the one it names included; the last that went in is first."""


NEWER = "a newer boardwright may have written it"


def load_release(text: bytes, place: object) -> Release:
    """Return what a `release.json` says; ReleaseError, which names `place`, when it is none."""
    return load_described(Release, text, place, error=ReleaseError, hint=NEWER)


def load_channel(text: bytes, place: object) -> Channel:
    """Return what a `channels/<channel>.json` says; ReleaseError, which names `place`, when it is none."""
    return load_described(Channel, text, place, error=ReleaseError, hint=NEWER)


def render(described: Release | Channel) -> bytes:
    """Return the bytes of `release.json` or `channels/<channel>.json`."""
    return (described.model_dump_json(indent=1) + "\n").encode()


def load_package(directory: Path) -> Package:
    """Return what a directory says it holds; ReleaseError when it is no packaged image. Nothing is hashed."""
    found = sorted(directory.glob(f"*{SUFFIX}"))
    if len(found) != 1:
        hint = "make one with `boardwright package IMAGE`"
        raise ReleaseError(f"{directory} holds {len(found)} files *{SUFFIX}; a packaged image has one", hint=hint)
    content = read_bytes(found[0], within=directory)
    return load_described(Package, content, found[0], error=ReleaseError, hint="package the image again")


def render_package(package: Package) -> str:
    """Return the text of `<name>.package.json`."""
    return package.model_dump_json(indent=1) + "\n"
