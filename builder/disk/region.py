# SPDX-License-Identifier: MIT
"""Where a filesystem lies in an image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """A filesystem inside an image file."""

    image: Path
    offset_bytes: int

    @property
    def for_e2fsprogs(self) -> str:
        """The name that dumpe2fs and e2fsck open (libext2fs: options of the io manager follow a `?`)."""
        return f"{self.image}?offset={self.offset_bytes}"

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the filesystem; fewer, or none, where the image ends before.

        A table can say that a filesystem begins where no file reaches: lseek(2) refuses that, pread(2) does not.
        """
        with self.image.open("rb") as stream:
            return os.pread(stream.fileno(), size, self.offset_bytes + offset)
