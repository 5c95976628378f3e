# SPDX-License-Identifier: MIT
"""Models of published data: packaged image, release, channel.

A directory of a packaged image is complete or absent. Its file `<name>.manifest.json` describes all other files. Code
that publishes, lists or fetches images takes all facts from it. `<name>` is the image's name without suffix
("boardwright-rpi-1.0"). All file names start with it, so files of several boards fit into one flat list, as in a GitHub
release.

A release is a set of these directories with `release.json`, which describes them. A channel is a moving name for one of
the releases; its file has that release, and the history of the channel.

    <tag>/<board>/<files>     a packaged image; a GitHub release has the files of all boards in one flat list
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
    FrozenModel,
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

SUFFIX = ".manifest.json"
RELEASE_NAME = "release.json"
LONGEST_NOTES = 1 << 20
LONGEST = 16 * MIB
"""Size limit of these JSON files."""
CHANNEL_NAME = r"[a-z0-9][a-z0-9-]*"

Commit = Annotated[str, text(r"^([0-9a-f]{40}|[0-9a-f]{64})?$", "the id of a commit")]
MountPath = Annotated[str, text(r"^(/[^\x00-\x1f\x7f]*)?$", "a mount point")]
Notes = Annotated[str, text(LINES, "lines of text", max_length=LONGEST_NOTES)]

Role = Literal["image", "bmap", "packages", "sbom", "report", "provenance", "sums", "signature", "manifest", "other"]


class PackagedFile(FrozenModel):
    """A file of a packaged image."""

    name: PlainName
    role: Role
    size_bytes: ByteCount
    sha256: Sha256


class Specs(FrozenModel):
    """Summary of the specs' results."""

    passed: Count
    failed: Count
    skipped: Count
    levels: list[Word]
    image_sha256: Sha256
    """Digest of the tested image file, from the report."""


class PackagedPartition(FrozenModel):
    """A partition of the image, for release notes."""

    name: Prose
    filesystem: Word | Literal[""]
    """Empty for none."""
    size_bytes: ByteCount
    mount: MountPath = ""


class PackagedImage(FrozenModel):
    """A packaged image."""

    format: Literal[1] = 1
    name: PlainName
    """"boardwright-rpi-1.0"."""
    board: BoardName
    title: Prose
    architecture: Word
    features: list[Word]
    imager: list[ImagerName] = []
    """Device tags of Raspberry Pi Imager ("pi4-64bit"); empty if Imager does not know the hardware."""
    version: Version
    epoch: Moment
    """SOURCE_DATE_EPOCH of the build, seconds since 1970."""
    valid_until: Moment = 0
    """Time by which a newer image is expected, seconds since 1970; 0 if unknown. A later fetch gives a warning:
    the server may hide the newer image."""
    image_size_bytes: ByteCount
    """Size of the uncompressed image."""
    image_sha256: Sha256
    """Digest of the uncompressed image."""
    specs: Specs | None
    """None if they were not run."""
    partitions: list[PackagedPartition] = []
    """In the order of the disk; empty if unknown."""
    files: list[PackagedFile]
    """All files of the directory, without this description and its signatures."""

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        """Check all names, because a publisher must not choose which local files a download overwrites."""
        if self.name != f"boardwright-{self.board}-{self.version}":
            raise ValueError(f"found the name {self.name!r}; expected boardwright-{self.board}-{self.version}")
        for file in self.files:
            if not file.name.startswith(f"{self.name}."):
                raise ValueError(f"found the file {file.name!r}; expected a name that begins with {self.name}.")
        return self


class Released(FrozenModel):
    """A packaged image of a release."""

    image: PackagedImage
    signed: list[PackagedFile]
    """The description `<name>.manifest.json` and its signatures, which are not in `image.files`."""

    @property
    def files(self) -> list[PackagedFile]:
        """All files of the packaged image."""
        return [*self.image.files, *self.signed]


class Release(FrozenModel):
    """Content of `release.json`. If it exists, all its files are complete."""

    format: Literal[1] = 1
    tag: Version
    """"v1.0"."""
    version: Version
    """"1.0"."""
    prerelease: bool
    date: When
    """Time of the release, UTC."""
    commit: Commit = ""
    """Commit of the tag; empty if unknown."""
    previous: Version | Literal[""] = ""
    """Tag of the release that the notes are compared with; empty for the first release."""
    notes: Notes
    """Markdown."""
    url: Url | Literal[""] = ""
    """Public URL of the directory of releases, without a slash at the end: files are at URL/<tag>/<board>/<name>.
    Empty if unknown."""
    boards: dict[BoardName, Released]
    """By name of the board."""


class ChannelEntry(FrozenModel):
    """A release in the history of a channel."""

    tag: Version
    version: Version
    date: When
    boards: list[BoardName]


class Channel(FrozenModel):
    """Content of `channels/<channel>.json`."""

    format: Literal[1] = 1
    channel: Word
    release: Release
    """The current release of the channel."""
    history: list[ChannelEntry]
    """All releases that were added to the channel, including `release`; the last added is first."""


NEWER = "a newer boardwright may have written it: update boardwright"


def load_release(text: bytes, source: object) -> Release:
    """Return the content of a `release.json`; raise ReleaseError, with `source`, if it is not valid."""
    return load_described(Release, text, source, error=ReleaseError, hint=NEWER)


def load_channel(text: bytes, source: object) -> Channel:
    """Return the content of a `channels/<channel>.json`; raise ReleaseError, with `source`, if it is not valid."""
    return load_described(Channel, text, source, error=ReleaseError, hint=NEWER)


def render(described: Release | Channel) -> bytes:
    """Return the bytes of `release.json` or `channels/<channel>.json`."""
    return (described.model_dump_json(indent=1) + "\n").encode()


def load_packaged_image(directory: Path) -> PackagedImage:
    """Return the description in a directory, without hashing files; ReleaseError if it is not a packaged image."""
    paths = sorted(directory.glob(f"*{SUFFIX}"))
    if len(paths) != 1:
        hint = "make a packaged image with `boardwright package IMAGE`"
        raise ReleaseError(f"{directory}: found {len(paths)} files *{SUFFIX}; expected one", hint=hint)
    content = read_bytes(paths[0], within=directory)
    return load_described(PackagedImage, content, paths[0], error=ReleaseError, hint="package the image again")


def render_package(package: PackagedImage) -> str:
    """Return the text of `<name>.manifest.json`."""
    return package.model_dump_json(indent=1) + "\n"
