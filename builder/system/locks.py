# SPDX-License-Identifier: MIT
"""Locks of files and directories between processes, by flock(2).

A lock belongs to the open file. The kernel releases it when the file is closed or the process ends, also by a kill. It
works across containers that share a directory. The previous holder may have renamed or removed the locked file:
`lock_named` detects that.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from builder.errors import disk_full_as_space_error

Open = IO[Any] | int
"""An open file, or the descriptor of a directory."""


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file until the block ends; a missing file is created. SpaceError on a full disk.

    shared  take a shared lock
    wait    wait for the lock; if False, yield False instead of True if another process holds it
    """
    with disk_full_as_space_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    with stream:
        yield lock(stream, shared=shared, wait=wait)


def lock(file: Open, *, shared: bool = False, wait: bool = True) -> bool:
    """Lock an open file until it is closed; with wait=False, return False if another process holds it."""
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_named(file: Open, path: Path, *, wait: bool = True) -> bool:
    """Lock an open file or directory if it still has the name `path`; return False if it does not, and with
    wait=False also if another process holds it."""
    return lock(file, wait=wait) and is_still_at(file, path)


def is_still_at(file: Open, path: Path) -> bool:
    """Return whether an open file or directory still has its name: another process may have renamed or removed it
    before it was locked here."""
    try:
        return os.path.samestat(os.fstat(file if isinstance(file, int) else file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock of a file; False for a file that does not exist."""
    try:
        with path.open("rb") as stream:
            return not lock(stream, wait=False)
    except FileNotFoundError:
        return False
