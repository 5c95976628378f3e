# SPDX-License-Identifier: MIT
"""Links and mounts of an image that bring other files where it is decided who gets in."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Protocol

from builder.plan.access import LARGEST, SEEDS, is_link_in, leads_in
from builder.plan.model import Plan
from builder.plan.ways.places import LIBRARIES, may_be_laid
from builder.units import MIB
from builder.verify.entry import Entry
from builder.verify.fstab import Mount
from builder.verify.tree import Tree

NO_COVER = frozenset({"swap", "proc", "sysfs", "devpts", "debugfs", "tracefs", "configfs", "hugetlbfs", "cgroup2"})
"""Of fstab: swap, and what the kernel makes up."""
MOST_JUDGED = 32 * MIB
"""Of all files together; those of `rpi` have 1.2 MiB."""
SEED_COST = 64
"""How many bytes one of a seed counts for: YAML takes as much longer to read."""


class System(Protocol):
    """What is asked of an image here."""

    @property
    def tree(self) -> Tree: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def fstab(self) -> Mapping[str, Mount]: ...


@dataclass
class Reader:
    """Reads what is judged by what it says, up to a limit: an image can have any number of files that take long."""

    left: int = MOST_JUDGED

    def prepare(self, entry: Entry) -> Callable[[], bytes]:
        """Return what reads a file, or raises ValueError when the limit is reached."""
        return lambda: self._read(entry)

    def _read(self, entry: Entry) -> bytes:
        cost = entry.size_bytes * (SEED_COST if SEEDS.fullmatch(entry.path) else 1)
        if entry.size_bytes > LARGEST or cost > self.left:
            raise ValueError("too much to judge")
        self.left -= cost
        return entry.read()


def find_covers(image: System) -> dict[str, str]:
    """What fstab mounts over places of access. Partitions of the recipe have their files in the tree."""
    own = {slot.mount for slot in image.plan.disk.slots}
    mounts = {path: row for path, row in image.fstab.items() if path not in own and row.kind not in NO_COVER}
    return {path: f"mounted by fstab from {row.source}" for path, row in mounts.items() if not may_be_laid(path)}


def is_link_way_in(image: System, link: Entry, owned: Container[str], reader: Reader) -> bool:
    """Say whether a link decides who gets in, by its name, its target, or what its file says.

    owned  paths of packages, merged into /usr
    """
    file = image.tree.find(link.path)
    if LIBRARIES.fullmatch(link.path):
        return not _is_library(file, owned)
    if is_link_in(link.path, link.target):
        return True
    if file is None or file.kind != "file":
        return False
    return leads_in(link.path, image.tree.mounts.fold(file.path), reader.prepare(file))


def _is_library(file: Entry | None, owned: Container[str]) -> bool:
    """Say whether a link leads to a library that is looked at itself, or is a package's. ldconfig and
    update-alternatives make such links, also for packages that a script installs."""
    if file is None or file.kind != "file":
        return False
    return LIBRARIES.fullmatch(file.path) is not None or file.path in owned
