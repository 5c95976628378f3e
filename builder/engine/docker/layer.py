# SPDX-License-Identifier: MIT
"""Copy files of a container directly from the Engine's storage, if this process may read it.

That works for root on the Engine's own machine, and for the owner of a rootless Engine, with the driver overlay2. No
byte goes through the Engine. Paths inside come from the container, so links are not followed, and only regular files
are accepted. The result is a copy, not a hard link, because the container may still run and write.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from docker import APIClient

from builder.engine.docker.connect import engine_errors
from builder.errors import ToolError
from builder.system.sparse import copy_range

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def find_layer(api: APIClient, container: str, proof: str) -> Path | None:
    """Return the directory with the files that a container has written; None if this process cannot read it.

    proof  path of a directory that was put into the container. The name of its layer is random, so a directory there
           belongs to this container, even if DOCKER_HOST names another machine.
    """
    with engine_errors("looking at the container"):
        driver = api.inspect_container(container).get("GraphDriver") or {}
    upper = (driver.get("Data") or {}).get("UpperDir", "")
    if driver.get("Name") != "overlay2" or not upper:
        return None
    layer = Path(upper)
    try:
        with _opened(layer, PurePosixPath(proof)):
            return layer
    except OSError:
        return None


def take_file(layer: Path, path: Path, target: Path, check: Callable[[], None] = lambda: None) -> None:
    """Copy the file at `path` of a container to `target`.

    check  called before each piece; an exception that it raises ends the copy

    Raises ToolError if there is no regular file, OSError if the target cannot be written.
    """
    inside = PurePosixPath(os.path.normpath(path))
    try:
        with _opened(layer, inside.parent) as directory:
            file = os.open(inside.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        raise _no_file(path) from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise _no_file(path)
        with target.open("xb", buffering=0) as copy:
            copy_range(file, copy.fileno(), 0, os.fstat(file).st_size, check)
    finally:
        os.close(file)


def _no_file(path: Path) -> ToolError:
    return ToolError(f"{path}: not found in the container; expected a regular file, as its build announced")


@contextmanager
def _opened(layer: Path, path: PurePosixPath) -> Iterator[int]:
    """Open a directory of the layer component by component; none may be a symbolic link."""
    descriptor = os.open(layer, DIRECTORY)
    try:
        for name in path.parts[1:]:
            below = os.open(name, DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)
