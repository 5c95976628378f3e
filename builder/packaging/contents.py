# SPDX-License-Identifier: MIT
"""Read from an image what its package describes: dpkg's database, copyright files, free space of filesystems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.disk.filetree import File, FileTree
from builder.disk.partitions import read_whole_table
from builder.disk.region import Region
from builder.errors import VerifyError
from builder.filesystems.model import Range
from builder.filesystems.table import DRIVERS, detect_filesystem, read_facts
from builder.packaging.free_space import find_unused
from builder.units import MIB

STATUS = "/var/lib/dpkg/status"
MOST_COPYRIGHT = 128 * MIB
"""Of all packages; those of a desktop are a fifth of it."""


@dataclass(frozen=True)
class Area:
    """A partition."""

    name: str
    """Its label, or its number."""
    filesystem: str
    size_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Contents:
    """The content of a disk."""

    status: str
    """Text of dpkg's database."""
    copyrights: Mapping[str, str]
    """Text of the copyright file of each package that has one."""
    areas: tuple[Area, ...]
    unused: tuple[Range, ...]
    """Ranges in bytes that no filesystem uses."""


def read_contents(raw: Path) -> Contents:
    """Read a disk; VerifyError if it has no partition table, or no system with dpkg."""
    areas, tree = [], None
    for partition in read_whole_table(raw).partitions:
        region = Region(raw, partition.offset_bytes)
        facts = read_facts(region)
        name = facts.label or f"partition {partition.number}"
        areas.append(Area(name, facts.kind, facts.size_bytes, facts.free_bytes))
        if tree is None:
            tree = _find_system(region)
    if tree is None:
        raise VerifyError(
            f"{raw.name} has no filesystem with {STATUS}", hint="name an image that `boardwright build` made"
        )
    status = tree.file(STATUS).content_string
    names = re.findall(r"^Package: (\S+)$", status, re.MULTILINE)
    files = {name: tree.file(f"/usr/share/doc/{name}/copyright") for name in names}
    return Contents(status, _read_copyrights(files), tuple(areas), tuple(find_unused(raw)))


def _read_copyrights(files: Mapping[str, File]) -> dict[str, str]:
    """Return the texts; VerifyError above MOST_COPYRIGHT: a thousand names can be links to the same large file."""
    texts, room = {}, MOST_COPYRIGHT
    for name, file in files.items():
        if file.is_file:
            room -= file.size
            if room < 0:
                raise VerifyError(
                    f"the copyright files of the image have more than {MOST_COPYRIGHT} bytes",
                    hint="name an image that `boardwright build` made",
                )
            texts[name] = file.content_string
    return texts


def _find_system(region: Region) -> FileTree | None:
    """Return the files of a filesystem with dpkg's database; None for any other."""
    name = detect_filesystem(region)
    if name is None or not name.row.keeps_owners:
        return None
    tree = FileTree(DRIVERS[name].read_entries(region, "/"))
    return tree if tree.file(STATUS).is_file else None
