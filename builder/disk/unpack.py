# SPDX-License-Identifier: MIT
"""Write the tree of an image into a directory of this machine, to run its programs there.

Each name is opened relative to its directory, and no link is followed. So an image with a link and then a file of the
same name, or with a directory that is a link, cannot write outside. Devices, pipes and sockets are left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.disk.entry import Entry, Kind
from builder.errors import VerifyError
from builder.units import GIB, MIB

LARGEST_TREE = 64 * GIB
"""Of the content of all files, holes not counted."""
PIECE = 4 * MIB
KEPT_XATTRS = ("security.capability", "user.")


def unpack(entries: Iterable[Entry], directory: Path) -> None:
    """Write entries into an empty directory, as root with owners and modes.

    entries  as `FilesystemDriver.read_entries` returns them: each directory before what is in it, no path twice

    Raises VerifyError for a path that cannot be made without leaving the directory, or more than LARGEST_TREE.
    """
    tree = _Written(directory)
    for entry in entries:
        try:
            tree.write(entry)
        except (OSError, ValueError) as error:
            raise VerifyError(f"{entry.path} of the image cannot be written: {error}") from None
    tree.finish()


class _Written:
    """A tree that is being written."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._bytes = 0
        self._names: dict[int, str] = {}
        """Path of each file that may have more names, by inode."""
        self._directories: list[Entry] = []

    def write(self, entry: Entry) -> None:
        """Write one entry."""
        if entry.path == "/":
            self._directories.append(entry)
            return
        with _parent(self._top, entry.path) as (parent, name):
            WRITERS[entry.kind](self, entry, parent, name)

    def finish(self) -> None:
        """Give directories their owners and modes, the deepest first: a mode may forbid to write."""
        for entry in reversed(self._directories):
            _finish_directory(entry, self._top)

    def write_file(self, entry: Entry, parent: int, name: str) -> None:
        """Write a file, or another name of one."""
        if entry.inode and entry.inode in self._names:
            with _parent(self._top, self._names[entry.inode]) as (other, first):
                os.link(first, name, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)
            return
        self._names[entry.inode] = entry.path
        self._bytes += sum(piece.size_bytes for piece in entry.pieces)
        if self._bytes > LARGEST_TREE:
            raise VerifyError(f"the root filesystem holds more than {LARGEST_TREE} bytes")
        _write_file(entry, parent, name)

    def write_directory(self, entry: Entry, parent: int, name: str) -> None:
        """Make a directory."""
        os.mkdir(name, 0o700, dir_fd=parent)
        self._directories.append(entry)

    def write_link(self, entry: Entry, parent: int, name: str) -> None:
        """Make a symbolic link."""
        os.symlink(entry.target, name, dir_fd=parent)
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)

    def leave_out(self, entry: Entry, parent: int, name: str) -> None:
        """Skip an entry that no spec needs."""


WRITERS: Mapping[Kind, Callable[[_Written, Entry, int, str], None]] = {
    "file": _Written.write_file,
    "directory": _Written.write_directory,
    "symlink": _Written.write_link,
    "device": _Written.leave_out,
    "pipe": _Written.leave_out,
    "socket": _Written.leave_out,
}


@contextmanager
def _parent(top: Path, path: str) -> Iterator[tuple[int, str]]:
    """Yield the open directory that a path is in, and its last name."""
    *above, name = path.strip("/").split("/")
    here = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in above:
            below = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        yield here, name
    except NotADirectoryError:
        raise VerifyError(f"{path} of the image is below something that is not a directory") from None
    finally:
        os.close(here)


def _write_file(entry: Entry, parent: int, name: str) -> None:
    """Write a file with its holes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(name, flags, 0o600, dir_fd=parent)
    try:
        for offset, content in entry.stored(PIECE):
            os.pwrite(handle, content, offset)
        os.ftruncate(handle, entry.size_bytes)
        _finish(entry, handle)
    finally:
        os.close(handle)


def _finish_directory(entry: Entry, top: Path) -> None:
    if entry.path == "/":
        handle = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    else:
        with _parent(top, entry.path) as (parent, name):
            handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        _finish(entry, handle)
    finally:
        os.close(handle)


def _finish(entry: Entry, handle: int) -> None:
    os.fchown(handle, entry.uid, entry.gid)
    os.fchmod(handle, entry.mode)
    for name, value in entry.xattrs.items():
        if name.startswith(KEPT_XATTRS):
            with suppress(OSError):  # A directory of this machine may know no such attribute; a spec has read it.
                os.setxattr(handle, name, value)
    os.utime(handle, (entry.mtime, entry.mtime))
