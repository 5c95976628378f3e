# SPDX-License-Identifier: MIT
"""What a bill of materials is of: an image and the packages in it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from builder.packaging.installed import Installed


@dataclass(frozen=True)
class Bill:
    """An image and its parts. The same image has the same bill, on any day and machine."""

    name: str
    """"boardwright-rpi-1.0"."""
    title: str
    version: str
    suite: str
    """"trixie"."""
    epoch: int
    """Seconds since 1970 of what was built."""
    image_sha256: str
    supplier: str
    """Who hands the image out; empty where that is not said."""
    packages: tuple[Installed, ...]

    @property
    def time(self) -> datetime:
        """Its epoch."""
        return datetime.fromtimestamp(self.epoch, UTC)

    def make_uuid(self, kind: str) -> uuid.UUID:
        """Return an id that is this image's alone, for a kind of document."""
        return uuid.uuid5(uuid.NAMESPACE_URL, f"boardwright:{kind}:{self.name}:{self.image_sha256}")
