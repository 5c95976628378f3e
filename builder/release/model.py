# SPDX-License-Identifier: MIT
"""What is handed on to others: a packaged image, as the directory that holds it says.

A directory of a packaged image is complete or absent. `<name>.package.json` in it describes the rest; nothing that
publishes, lists or fetches an image looks anywhere else for a fact. `<name>` is that of the image without suffix
("boardwright-rpi-1.0"), and every file of the directory starts with it, so that files of several boards fit into one
flat place such as a GitHub release.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builder.errors import ReleaseError

SUFFIX = ".package.json"

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
    files: list[File]
    """All files of the directory but this description and what signs it."""


def load_package(directory: Path) -> Package:
    """Return what a directory says it holds; ReleaseError when it is no packaged image. Nothing is hashed."""
    found = sorted(directory.glob(f"*{SUFFIX}"))
    if len(found) != 1:
        hint = "make one with `boardwright package IMAGE`"
        raise ReleaseError(f"{directory} holds {len(found)} files *{SUFFIX}; a packaged image has one", hint=hint)
    try:
        return Package.model_validate_json(found[0].read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ReleaseError(f"{found[0]}: {place}: {first['msg']}", hint="package the image again") from None


def render_package(package: Package) -> str:
    """Return the text of `<name>.package.json`."""
    return package.model_dump_json(indent=1) + "\n"
