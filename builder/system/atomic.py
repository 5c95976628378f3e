# SPDX-License-Identifier: MIT
"""Atomic writes: a file is written under a temporary name, synced and renamed.

After a kill at any time, the final name has the old file or the new one, never a part. The temporary name starts with
a dot and ends with PARTIAL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import disk_full_as_space_error
from builder.system.files import write_new

PARTIAL = ".partial"


@contextmanager
def replaced(path: Path, *, is_locked: bool = True, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write; rename it to `path` at the end of the block, or remove it on an error.

    A missing directory is created. A link at either name is removed, not followed.

    is_locked  only one process at a time writes this file, so the temporary name is shared; otherwise it has the pid
    durable    sync the content and the name before the block ends

    Raises OSError, and SpaceError if the disk is full at the sync.
    """
    suffix = "" if is_locked else f".{os.getpid()}"
    aside = path.with_name(f".{path.name}{suffix}{PARTIAL}")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.unlink(missing_ok=True)
    try:
        yield aside
        give_name(aside, path, durable=durable)
    finally:
        aside.unlink(missing_ok=True)


def write_replaced(path: Path, content: bytes, *, is_locked: bool = True, durable: bool = True) -> None:
    """Write a file as `replaced` does."""
    with replaced(path, is_locked=is_locked, durable=durable) as aside:
        write_new(aside, content)


def give_name(aside: Path, path: Path, *, durable: bool = True) -> None:
    """Rename a complete file or directory to its final name; a file of that name is replaced.

    durable  sync the content before and the name after; of a directory, only its entries are synced
    """
    if durable:
        sync(aside)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(path)
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Sync a file or the entries of a directory to the disk; SpaceError if the disk is full."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with disk_full_as_space_error(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
