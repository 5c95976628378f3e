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

from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builder.errors import ReleaseError
from builder.inputs import read_bytes

SUFFIX = ".package.json"
RELEASE_NAME = "release.json"
CHANNEL_NAME = r"^[a-z0-9][a-z0-9-]*$"

Role = Literal["image", "bmap", "packages", "sbom", "report", "provenance", "sums", "signature", "manifest", "other"]


class Frozen(BaseModel):
    """A value that does not change, with no key that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class File(Frozen):
    """A file of the directory."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+~-]*$")
    role: Role
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Specs(Frozen):
    """What the specs said, and of what."""

    passed: int = Field(ge=0)
    failed: int = Field(ge=0)
    skipped: int = Field(ge=0)
    levels: list[str]
    image_sha256: str
    """Digest of the image file that they were run on, as the report says it."""


class Partition(Frozen):
    """A partition of the image, as people are told about it."""

    name: str
    filesystem: str
    """Empty: none."""
    size_bytes: int = Field(ge=0)
    mount: str = ""


class Package(Frozen):
    """A packaged image."""

    format: Literal[1] = 1
    name: str
    """"boardwright-rpi-1.0"."""
    board: str
    title: str
    architecture: str
    features: list[str]
    imager: list[str] = []
    """Names by which Raspberry Pi Imager knows the hardware ("pi4-64bit"); none: it is not listed by hardware."""
    version: str
    epoch: int
    """SOURCE_DATE_EPOCH of the build, seconds since 1970."""
    image_size_bytes: int = Field(ge=0)
    """Of the image, not compressed."""
    image_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the image, not compressed."""
    specs: Specs | None
    """None: they were not run."""
    partitions: list[Partition] = []
    """In the order of the disk; none: not known."""
    files: list[File]
    """All files of the directory but this description and what signs it."""


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
    tag: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    """"v1.0"."""
    version: str
    """"1.0"."""
    prerelease: bool
    date: datetime
    """When it was released, UTC."""
    commit: str = ""
    """Of the tag; empty: not known."""
    previous: str = ""
    """Tag of the release that the notes compare with; empty: this is the first."""
    notes: str
    """Markdown."""
    url: str = ""
    """Public address of the directory of the releases, no slash at its end: files are at URL/<tag>/<board>/<name>.
    Empty: it is known only to whoever found this file."""
    boards: dict[str, Released]
    """By name of the board."""


class Entry(Frozen):
    """A release that a channel has named."""

    tag: str
    version: str
    date: datetime
    boards: list[str]


class Channel(Frozen):
    """What `channels/<channel>.json` says."""

    format: Literal[1] = 1
    channel: str = Field(pattern=CHANNEL_NAME)
    release: Release
    """The one that it names."""
    history: list[Entry]
    """Every release that went into it, the one it names included; the last that went in is first."""


Described = TypeVar("Described", Release, Channel)


def load_release(text: bytes, place: object) -> Release:
    """Return what a `release.json` says; ReleaseError, which names `place`, when it is none."""
    return _load(Release, text, place)


def load_channel(text: bytes, place: object) -> Channel:
    """Return what a `channels/<channel>.json` says; ReleaseError, which names `place`, when it is none."""
    return _load(Channel, text, place)


def render(described: Release | Channel) -> bytes:
    """Return the bytes of `release.json` or `channels/<channel>.json`."""
    return (described.model_dump_json(indent=1) + "\n").encode()


def _load(kind: type[Described], text: bytes, place: object) -> Described:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        hint = "a newer boardwright may have written it"
        raise ReleaseError(f"{place}: {where}: {first['msg']}", hint=hint) from None


def load_package(directory: Path) -> Package:
    """Return what a directory says it holds; ReleaseError when it is no packaged image. Nothing is hashed."""
    found = sorted(directory.glob(f"*{SUFFIX}"))
    if len(found) != 1:
        hint = "make one with `boardwright package IMAGE`"
        raise ReleaseError(f"{directory} holds {len(found)} files *{SUFFIX}; a packaged image has one", hint=hint)
    try:
        return Package.model_validate_json(read_bytes(found[0], within=directory))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ReleaseError(f"{found[0]}: {place}: {first['msg']}", hint="package the image again") from None


def render_package(package: Package) -> str:
    """Return the text of `<name>.package.json`."""
    return package.model_dump_json(indent=1) + "\n"
