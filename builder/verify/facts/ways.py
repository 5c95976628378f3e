# SPDX-License-Identifier: MIT
"""Find files, links and mounts of an image that control access, or are system files of no package."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from builder.disk.entry import Entry
from builder.disk.filetree import FileTree
from builder.disk.fstab import Mount
from builder.plan.access import LARGEST, SEEDS, is_held, is_link_held, is_link_in, is_way_in, leads_in
from builder.plan.ways.places import LIBRARIES, may_be_laid
from builder.system.files import load_json
from builder.units import MIB
from builder.verify.facts.members import MemberFacts, find_members

NO_COVER = frozenset({"swap", "proc", "sysfs", "devpts", "debugfs", "tracefs", "configfs", "hugetlbfs", "cgroup2"})
"""Filesystem types of fstab without stored files: swap, and virtual filesystems of the kernel."""
BINDS = re.compile(r"(^|,)(r?bind|move)(,|$)|dir=")
STARTS = re.compile(
    r"(^|,)x-systemd\.(?!(automount|makefs|growfs|rw-only|pcrfs|(device|mount|idle)-timeout=[^,]*"
    r"|(before|after|wanted-by|required-by)=[^,]*|(requires|wants)-mounts-for=[^,]*)(,|$))"
)
"""Options by which systemd starts units with a mount (systemd.mount(5)): all but those that are known to start none."""
MOST_JUDGED = 32 * MIB
"""Of all files together; those of `rpi` have 1.2 MiB."""
OWN_PROGRAMS = (
    (re.compile(r"/usr/local/s?bin/([^/]+)"), ("/usr/bin", "/usr/sbin")),
    (
        re.compile(r"/usr/local/lib(?:exec)?/docker/cli-plugins/([^/]+)"),
        ("/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins"),
    ),
)
"""Places of a board's own programs that are looked into before those of packages."""
DOCKER = "/etc/docker/daemon.json"
SEED_COST = 64
"""Weight of one byte of a cloud-init seed: YAML takes that much longer to read."""


class WayFacts(MemberFacts, Protocol):
    """The properties of an image that this module uses."""

    @property
    def fstab(self) -> Mapping[str, Mount]: ...
    @property
    def owners(self) -> Mapping[str, str]: ...
    @property
    def summed(self) -> Container[str]: ...
    @property
    def unlisted_programs(self) -> Iterable[str]: ...


def find_files_and_links(image: WayFacts) -> dict[str, str]:
    """Return files and links that control access, or are system files whose content dpkg does not know.

    The value of a file is its digest, that of a link its target.
    """
    search = Search(image.tree, image.owners, image.summed, frozenset(image.unlisted_programs))
    files = {entry.path: entry.hash("sha256") for entry in image.tree.of_kind("file") if search.has_file(entry)}
    links = {entry.path: f"-> {entry.target}" for entry in image.tree.of_kind("symlink") if search.has_link(entry)}
    return files | links


def find_beside_files(image: WayFacts) -> dict[str, str]:
    """Return what gives somebody access by a line of fstab, of a group or of numbers, or by data of Docker's."""
    return {**find_covers(image), **find_containers(image), **find_members(image)}


def find_covers(image: WayFacts) -> dict[str, str]:
    """Return what fstab mounts over places of access. Partitions of the recipe have their files in the tree."""
    own = {slot.mount for slot in image.plan.disk.slots}
    return {
        path: f"mounted by fstab from {row.source}"
        for path, row in image.fstab.items()
        if STARTS.search(row.options) or not (path in own or _is_made_up(row) or may_be_laid(path))
    }


def find_containers(image: WayFacts) -> dict[str, str]:
    """Return the data directory that daemon.json sets for Docker (`data-root`), if it contains something.

    Containers in it start with the system, with any rights. `traces` checks that the default directory is empty.
    """
    text = image.tree.file(DOCKER).content_string
    try:
        settings = load_json(text) if text else {}
    except ValueError:  # An invalid file is reported as a way in by itself.
        return {}
    root = settings.get("data-root") if isinstance(settings, dict) else None
    entry = image.tree.find(posixpath.normpath(root)) if isinstance(root, str) and root.startswith("/") else None
    if entry is None or next(image.tree.below(entry.path), None) is None:
        return {}
    return {str(root): "with data of Docker's in it"}


def _is_made_up(row: Mount) -> bool:
    """Return whether a filesystem is virtual or swap. With a BINDS option mount(8) ignores the type."""
    return row.kind in NO_COVER and not BINDS.search(row.options)


@dataclass
class Search:
    """Search through all files and links of an image. The bytes that it reads are limited, because images can have
    any number of large files."""

    tree: FileTree
    owned: Container[str]
    """Paths that packages own, merged into /usr."""
    summed: Container[str]
    """Paths of files whose MD5 dpkg has; other specs compare these."""
    programs: Container[str]
    """Programs in the system's PATH that no package owns; they are another kind."""
    left: int = MOST_JUDGED
    """Bytes that may still be read."""

    def has_file(self, file: Entry) -> bool:
        """Return whether only packages and the build may bring a file, by its name or its content."""
        path = self.tree.mounts.fold(file.path)
        if is_way_in(path, lambda: self._read(file)):
            return True
        if self._hides_program(path):
            return True
        return is_held(path) and path not in self.summed and path not in self.programs

    def has_link(self, link: Entry) -> bool:
        """Return the same for a link, by its name, its target or the content of its file."""
        file = self.tree.find(link.path)
        if LIBRARIES.fullmatch(link.path):
            return not self._is_library(file)
        if is_link_in(link.path, link.target) or is_link_held(link.path) or self._hides_program(link.path):
            return True
        if file is None or file.kind != "file":
            return False
        return leads_in(link.path, self.tree.mounts.fold(file.path), lambda: self._read(file))

    def _hides_program(self, path: str) -> bool:
        """Say whether a program of the board's own is found before a package's of the same name."""
        for pattern, places in OWN_PROGRAMS:
            if (own := pattern.fullmatch(path)) and any(f"{place}/{own[1]}" in self.owned for place in places):
                return True
        return False

    def _is_library(self, file: Entry | None) -> bool:
        """Return whether a link leads to a library of a package, or to one that this search checks itself.

        ldconfig and update-alternatives make such links, also for packages that a script installs.
        """
        if file is None or file.kind != "file":
            return False
        return LIBRARIES.fullmatch(file.path) is not None or file.path in self.owned

    def _read(self, file: Entry) -> bytes:
        cost = file.size_bytes * (SEED_COST if SEEDS.fullmatch(file.path) else 1)
        if file.size_bytes > LARGEST or cost > self.left:
            raise ValueError("too much to judge")
        self.left -= cost
        return file.read()
