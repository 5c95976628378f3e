# SPDX-License-Identifier: MIT
"""The system of an image as one tree of all its filesystems, with the file methods of testinfra.

A path is resolved as in the booted system. Links are followed, absolute ones from the root of the tree. In a FAT, names
are compared without case.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from builder.disk.accounts import is_id
from builder.disk.entry import Entry, Kind
from builder.disk.mounts import Mounts
from builder.disk.walk import HINT
from builder.errors import VerifyError
from builder.system.paths import fold_name

MAX_LINKS = 40
"""As many as Linux follows (path_resolution(7))."""
MOST_STEPS = 20_000_000
"""In all paths that are asked for, many times what specs take. A link of 4 KiB can have 2000, and lead to others."""
WILD = re.compile(r"[*?\[]")


class FileTree:
    """Every entry of a system, by path."""

    def __init__(self, entries: Iterable[Entry], mounts: Mounts | None = None) -> None:
        self.entries = {entry.path: entry for entry in entries}
        self.mounts = mounts or Mounts()
        self._taken = 0
        in_fats = [entry for path, entry in self.entries.items() if self.mounts.is_fat(path)]
        self._in_fats = {self.mounts.fold(path): entry for entry in in_fats for path in _find_names(entry)}

    @cached_property
    def _levels(self) -> Mapping[int, list[tuple[str, Entry]]]:
        """The entries by how deep they lie."""
        levels: dict[int, list[tuple[str, Entry]]] = {}
        for path, entry in self.entries.items():
            levels.setdefault(path.count("/"), []).append((path, entry))
        return levels

    def file(self, path: str) -> File:
        """Return a path of the tree, whether it exists or not."""
        return File(self, path)

    def find(self, path: str, *, follow: bool = True) -> Entry | None:
        """Return the entry that a path leads to, or None. Without `follow`, a link at its end is returned itself."""
        todo = self._plan(path)
        here, kind, links = "/", "directory", 0
        while todo and kind == "directory":
            part = todo.pop()
            step = str(PurePosixPath(here).parent) if part == ".." else f"{here.rstrip('/')}/{part}"
            entry = self.entries.get(step) or self._in_fats.get(self.mounts.fold(step))
            if entry is None:
                return None
            if entry.kind != "symlink" or (not todo and not follow):
                here, kind = entry.path, entry.kind
                continue
            links += 1
            if links > MAX_LINKS:
                return None
            if entry.target.startswith("/"):
                here = "/"
            todo += self._plan(entry.target)
        return None if todo else self.entries.get(here)

    def _plan(self, path: str) -> list[str]:
        """Return the steps of a path, the last one first; VerifyError for more than are taken in a tree."""
        steps = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        self._taken += len(steps)
        if self._taken > MOST_STEPS:
            raise VerifyError(f"the paths and links of the image have more than {MOST_STEPS} steps", hint=HINT)
        return steps

    def is_circle(self, path: str) -> bool:
        """Say whether a link leads back to itself, over others or not, or over more links than Linux follows."""
        for _ in range(MAX_LINKS + 1):
            entry = self.find(path, follow=False)
            if entry is None or entry.kind != "symlink":
                return False
            path = entry.target if entry.target.startswith("/") else f"{entry.path.rpartition('/')[0]}/{entry.target}"
        return True

    def glob(self, pattern: str) -> list[Entry]:
        """Return the entries that match a pattern of a whole path; * matches within a name. Links are not followed."""
        start, depth = WILD.split(pattern, maxsplit=1)[0], pattern.count("/")
        matches = re.compile(fnmatch.translate(pattern)).match
        matching = [
            entry
            # As deep as the pattern, so no * can stand for a slash.
            for path, entry in self._levels.get(depth, ())
            if path.startswith(start) and matches(path)
        ]
        if self._in_fats:
            folds = re.compile(fnmatch.translate(fold_name(pattern))).match
            paths = [path for path in self._in_fats if path.count("/") == depth and folds(fold_name(path))]
            entries = [self._in_fats[path] for path in paths]
            matching += {entry.path: entry for entry in entries if not matches(entry.path)}.values()
        return matching

    def below(self, path: str) -> Iterator[Entry]:
        """Yield everything below a directory, links not followed."""
        inside = path.rstrip("/") + "/"
        if self.mounts.is_fat(path):
            fold = self.mounts.fold
            return (entry for name, entry in self.entries.items() if fold(name).startswith(fold(inside)))
        return (entry for name, entry in self.entries.items() if name.startswith(inside) and name != "/")

    def of_kind(self, kind: Kind) -> Iterator[Entry]:
        """Yield every entry of a kind."""
        return (entry for entry in self.entries.values() if entry.kind == kind)

    @cached_property
    def users(self) -> Mapping[int, str]:
        """Names of users by number, by the tree's own /etc/passwd."""
        return _names(self.file("/etc/passwd").content_string)

    @cached_property
    def groups(self) -> Mapping[int, str]:
        """Names of groups by number."""
        return _names(self.file("/etc/group").content_string)


def _find_names(entry: Entry) -> list[str]:
    """Return the paths that lead to a thing in a FAT."""
    return [entry.path, f"{entry.path.rpartition('/')[0]}/{entry.alias}"] if entry.alias else [entry.path]


def _names(table: str) -> dict[int, str]:
    rows = [row for line in table.split("\n") if len(row := line.split(":")) >= 4 and is_id(row[2])]
    return {int(row[2]): row[0] for row in reversed(rows)}


@dataclass(frozen=True)
class File:
    """A path of a tree, with the attributes of testinfra's `host.file`; a missing path has empty content."""

    tree: FileTree
    path: str

    def __str__(self) -> str:
        return self.path

    @cached_property
    def entry(self) -> Entry | None:
        """The entry at the path, links followed; None if it is missing."""
        return self.tree.find(self.path)

    @property
    def _there(self) -> Entry:
        if self.entry is None:
            raise AssertionError(f"there is no {self.path}")
        return self.entry

    @property
    def exists(self) -> bool:
        """True if the path leads to an entry."""
        return self.entry is not None

    @property
    def is_file(self) -> bool:
        """True if the path leads to a regular file."""
        return self.entry is not None and self.entry.kind == "file"

    @property
    def is_directory(self) -> bool:
        """True if the path leads to a directory."""
        return self.entry is not None and self.entry.kind == "directory"

    @property
    def is_symlink(self) -> bool:
        """True if the path itself is a link."""
        entry = self.tree.find(self.path, follow=False)
        return entry is not None and entry.kind == "symlink"

    @property
    def target(self) -> str:
        """The text of the link; "" if the path is no link."""
        entry = self.tree.find(self.path, follow=False)
        return entry.target if entry else ""

    @property
    def mode(self) -> int:
        """Permissions, as in 0o644."""
        return self._there.mode

    @property
    def user(self) -> str:
        """Name of the owner."""
        return self.tree.users.get(self._there.uid, str(self._there.uid))

    @property
    def group(self) -> str:
        """Name of the group."""
        return self.tree.groups.get(self._there.gid, str(self._there.gid))

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._there.size_bytes

    @property
    def mtime(self) -> int:
        """Time of the last change, in seconds since 1970."""
        return self._there.mtime

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file; b"" if there is no file."""
        return self.entry.read() if self.is_file and self.entry else b""

    @property
    def content_string(self) -> str:
        """The text of the file."""
        return self.content.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """The lines that are neither empty nor a comment."""
        stripped = [line.strip() for line in self.content_string.split("\n")]
        return [line for line in stripped if line and not line.startswith("#")]
