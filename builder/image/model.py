# SPDX-License-Identifier: MIT
"""Result of the image stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.plan.model import Disk


@dataclass(frozen=True)
class Image:
    """A finished disk file.

    `disk` is the plan's disk, with all `sectors` known. The file is sparse: `size_bytes` is its apparent size.
    """

    path: Path
    size_bytes: int
    disk: Disk
