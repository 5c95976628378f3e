# SPDX-License-Identifier: MIT
"""Assemble an image without the kernel: filesystems are created in place, inside the image file.

mke2fs, debugfs and mtools can all work at an offset of a plain file. So nothing is copied, attached or mounted, and no
privileges are needed but to read the tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.filesystems.target import Target, target_in_file
from builder.plan.model import Slot
from builder.system.workspace import Workspace


@contextmanager
def open_slot(workspace: Workspace, image: Path, slot: Slot) -> Iterator[Target]:
    """Yield the slot's range of the image file; there is nothing to release."""
    yield target_in_file(image, slot)
