# SPDX-License-Identifier: MIT
"""A range of a file, or of a device, that holds a filesystem; its name for each tool, with the offset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MTOOLS: Mapping[str, str] = {"MTOOLSRC": "/dev/null", "HOME": "/nonexistent"}
"""The environment of mtools: without the settings of this machine's user."""


@dataclass(frozen=True)
class Region:
    """A filesystem inside a file."""

    path: Path
    offset_bytes: int

    @property
    def for_e2fsprogs(self) -> str:
        """The name that e2fsprogs open (libext2fs: options of the io manager follow a `?`)."""
        return f"{self.path}?offset={self.offset_bytes}" if self.offset_bytes else str(self.path)

    @property
    def for_mtools(self) -> str:
        """The name that `-i` of mtools takes."""
        return f"{self.path}@@{self.offset_bytes}" if self.offset_bytes else str(self.path)

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the filesystem; fewer, or none, where the file ends before.

        A table can say that a filesystem begins where no file reaches: lseek(2) refuses that, pread(2) does not.
        """
        with self.path.open("rb", buffering=0) as stream:
            return os.pread(stream.fileno(), size, self.offset_bytes + offset)
