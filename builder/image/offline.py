# SPDX-License-Identifier: MIT
"""The assembler that needs nothing of the kernel: filesystems are made in place, inside the image file.

mke2fs, debugfs and mtools all work at an offset of a plain file, so nothing is copied, attached or mounted, and
whoever may read the tree may assemble.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.image.target import Target, target_in_file
from builder.plan.model import Slot
from builder.system.workspace import Workspace


@contextmanager
def open_slot(workspace: Workspace, image: Path, slot: Slot) -> Iterator[Target]:
    """Yield the slot's range of the image file; nothing is held."""
    yield target_in_file(image, slot)
