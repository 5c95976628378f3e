# SPDX-License-Identifier: MIT
"""Content of an SBOM: an image and its packages."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from builder.packaging.installed import Installed


@dataclass(frozen=True)
class Sbom:
    """An image and its packages. The same image always gives the same SBOM."""

    name: str
    """"boardwright-rpi-1.0"."""
    title: str
    version: str
    suite: str
    """"trixie"."""
    epoch: int
    """SOURCE_DATE_EPOCH of the build, seconds since 1970."""
    image_sha256: str
    supplier: str
    """Name of the publisher; empty if unknown."""
    packages: tuple[Installed, ...]

    @property
    def time(self) -> datetime:
        """The epoch as a time."""
        return datetime.fromtimestamp(self.epoch, UTC)

    def make_uuid(self, kind: str) -> uuid.UUID:
        """Return a unique id of this image, for a kind of document."""
        return uuid.uuid5(uuid.NAMESPACE_URL, f"boardwright:{kind}:{self.name}:{self.image_sha256}")
