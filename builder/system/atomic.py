# SPDX-License-Identifier: MIT
"""Files that appear under their final name when they are complete: written aside, synced, renamed.

A process that is killed at any time leaves the old file or the new one under the name, never a part of either. What it
leaves aside has a name that starts with a dot and ends with PARTIAL.
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
    """Yield the path of a file to write; it gets the name `path` at the end of the block, or is removed on an error.

    The directory is made where it is missing. A link at either name is removed, not written through.

    is_locked  one process at a time writes this file, so what a killed one left aside is replaced; else each process
               has a name of its own there
    durable    have the content and the name on the disk before the block ends

    Raises OSError, and SpaceError where the disk turns out to be full only when it is synced.
    """
    own = "" if is_locked else f".{os.getpid()}"
    aside = path.with_name(f".{path.name}{own}{PARTIAL}")
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

    durable  have the content on the disk before, and the name after; of a directory, only the names in it
    """
    if durable:
        sync(aside)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(path)
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Have a file or the entries of a directory on the disk; SpaceError where the disk turns out to be full."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with disk_full_as_space_error(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
