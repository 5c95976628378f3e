# SPDX-License-Identifier: MIT
"""Files, links and mounts of an image that decide who gets in, or are of the system and no package brings."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from builder.plan.access import LARGEST, SEEDS, is_held, is_link_held, is_link_in, is_way_in, leads_in
from builder.plan.model import Plan
from builder.plan.ways.places import LIBRARIES, may_be_laid
from builder.units import MIB
from builder.verify.entry import Entry
from builder.verify.fstab import Mount
from builder.verify.tree import Tree

NO_COVER = frozenset({"swap", "proc", "sysfs", "devpts", "debugfs", "tracefs", "configfs", "hugetlbfs", "cgroup2"})
"""Of fstab: swap, and what the kernel makes up."""
BINDS = re.compile(r"(^|,)(r?bind|move)(,|$)|dir=")
MOST_JUDGED = 32 * MIB
"""Of all files together; those of `rpi` have 1.2 MiB."""
OWN_PROGRAM = re.compile(r"/usr/local/s?bin/([^/]+)")
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
    @property
    def owners(self) -> Mapping[str, str]: ...
    @property
    def summed(self) -> Container[str]: ...
    @property
    def unlisted_programs(self) -> Iterable[str]: ...


def find_files_and_links(image: System) -> dict[str, str]:
    """Return what decides who gets in, or is a part of the system and of no package whose content dpkg knows: the
    digest of each file, and where each link leads."""
    search = Search(image.tree, image.owners, image.summed, frozenset(image.unlisted_programs))
    files = {each.path: each.hash("sha256") for each in image.tree.of_kind("file") if search.has_file(each)}
    links = {each.path: f"-> {each.target}" for each in image.tree.of_kind("symlink") if search.has_link(each)}
    return files | links


def find_covers(image: System) -> dict[str, str]:
    """Return what fstab mounts over places of access. Partitions of the recipe have their files in the tree."""
    own = {slot.mount for slot in image.plan.disk.slots}
    mounts = {path: row for path, row in image.fstab.items() if path not in own and not _is_made_up(row)}
    return {path: f"mounted by fstab from {row.source}" for path, row in mounts.items() if not may_be_laid(path)}


def _is_made_up(row: Mount) -> bool:
    """Say whether what is mounted has no files of anybody's. With one of these options mount(8) heeds no type."""
    return row.kind in NO_COVER and not BINDS.search(row.options)


@dataclass
class Search:
    """A look at all files and links of an image. What is read to be judged has a limit: there can be any number of
    files that take long."""

    tree: Tree
    owned: Container[str]
    """Paths that packages say are theirs, merged into /usr."""
    summed: Container[str]
    """Those of files whose MD5 dpkg has: other specs compare them with that."""
    programs: Container[str]
    """Programs in the system's path that no package has, which are a kind of their own."""
    left: int = MOST_JUDGED

    def has_file(self, file: Entry) -> bool:
        """Say whether a file is one that only packages and the build bring: by its name, or by what it says."""
        path = self.tree.mounts.fold(file.path)
        if is_way_in(path, lambda: self._read(file)):
            return True
        if own := OWN_PROGRAM.fullmatch(path):  # It is found before a package's of the same name.
            return any(f"/usr/{place}/{own[1]}" in self.owned for place in ("bin", "sbin"))
        return is_held(path) and path not in self.summed and path not in self.programs

    def has_link(self, link: Entry) -> bool:
        """Say the same of a link: by its name, its target, or what its file says."""
        file = self.tree.find(link.path)
        if LIBRARIES.fullmatch(link.path):
            return not self._is_library(file)
        if is_link_in(link.path, link.target) or is_link_held(link.path):
            return True
        if file is None or file.kind != "file":
            return False
        return leads_in(link.path, self.tree.mounts.fold(file.path), lambda: self._read(file))

    def _is_library(self, file: Entry | None) -> bool:
        """Say whether a link leads to a library that is looked at itself, or is a package's. ldconfig and
        update-alternatives make such links, also for packages that a script installs."""
        if file is None or file.kind != "file":
            return False
        return LIBRARIES.fullmatch(file.path) is not None or file.path in self.owned

    def _read(self, file: Entry) -> bytes:
        cost = file.size_bytes * (SEED_COST if SEEDS.fullmatch(file.path) else 1)
        if file.size_bytes > LARGEST or cost > self.left:
            raise ValueError("too much to judge")
        self.left -= cost
        return file.read()
