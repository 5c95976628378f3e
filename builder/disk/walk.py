# SPDX-License-Identifier: MIT
"""Walk through the directories of an untrusted filesystem, with limits for entries, depth and names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from builder.errors import VerifyError
from builder.units import GIB, MIB

MOST_ENTRIES = 500_000
"""A desktop with all that Debian has for it is a tenth of this."""
DEEPEST = 100
LONGEST_NAME = 255
"""Letters; Linux and FAT allow no more."""
MOST_TEXT = 64 * MIB
"""Letters of all paths, links and extended attributes of a filesystem, a hundred times what `rpi` has."""
LARGEST_DIRECTORY = 64 * MIB
MOST_READ = 32 * GIB
"""Bytes that specs read and hash of the files of a filesystem: a hole of a gigabyte may have a thousand names. Those of
`rpi` read two gigabytes."""
HINT = "copy or fetch the image again, or build it again"

Node = TypeVar("Node")


def damaged(filesystem: str, what: str) -> VerifyError:
    """Return the error for a filesystem ("ext4", "FAT") that cannot be as it is."""
    return VerifyError(f"the {filesystem} is damaged: {what}", hint=HINT)


@dataclass
class Budget:
    """A limit of what is read of a filesystem: many names or blocks can lead to the same bytes."""

    filesystem: str
    what: str
    most: int
    used: int = 0

    def use(self, count: int) -> None:
        """Add to the count; VerifyError above the limit."""
        self.used += count
        if self.used > self.most:
            raise damaged(self.filesystem, f"it has more than {self.most} {self.what}")


@dataclass
class Walk(Generic[Node]):
    """A walk through directories."""

    filesystem: str
    list: Callable[[str, Node], Iterable[tuple[str, Node]]]
    """Return the names of a directory (path, node) with their nodes, without `.` and `..`."""
    identify: Callable[[Node], int | None]
    """Return the number of a directory, the same under each of its paths; None for any other node."""
    fold: Callable[[str], str] = str
    """Return the form of a name that is compared: equal for two names that count as one."""
    _paths: dict[int | None, str] = field(default_factory=dict, init=False)
    _entries: Budget = field(init=False)
    _letters: Budget = field(init=False)

    def below(self, path: str, top: Node) -> Iterator[tuple[str, Node]]:
        """Yield everything below a directory by path, each directory before what is in it; VerifyError for a directory
        that is in two places, too much, too deep, or a name that none can have."""
        self._paths[self.identify(top)] = path
        self._entries = Budget(self.filesystem, "entries", MOST_ENTRIES)
        self._letters = Budget(self.filesystem, "letters in its paths", MOST_TEXT)
        level = [(path.rstrip("/"), top)]
        for _ in range(DEEPEST):
            deeper = []
            for parent, directory in level:
                for child, node in self._look(parent, directory):
                    yield child, node
                    if self._is_directory(child, node):
                        deeper.append((child, node))
            level = deeper
        if level:
            raise damaged(self.filesystem, f"it is more than {DEEPEST} directories deep")

    def _look(self, parent: str, directory: Node) -> Iterator[tuple[str, Node]]:
        names = set[str]()
        for name, node in self.list(parent or "/", directory):
            folded = self.fold(name)
            if folded in names or not _can_be(name):
                raise damaged(self.filesystem, f"{parent or '/'} has the name {name[:80]!r} twice, or it can be none")
            names.add(folded)
            path = f"{parent}/{name}"
            self._entries.use(1)
            self._letters.use(len(path))
            yield path, node

    def _is_directory(self, path: str, node: Node) -> bool:
        number = self.identify(node)
        if number is None:
            return False
        if number in self._paths:
            raise damaged(self.filesystem, f"{path} is the directory {self._paths[number] or '/'} again")
        self._paths[number] = path
        return True


def _can_be(name: str) -> bool:
    """Say whether an entry of a directory can have that name."""
    return 0 < len(name) <= LONGEST_NAME and name not in (".", "..") and "/" not in name and "\0" not in name
