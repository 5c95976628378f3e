# SPDX-License-Identifier: MIT
"""Read the entries of a FAT32 from the bytes of the image, because many kernels cannot mount one. Nothing is copied.

A FAT has no owners and no modes; they are what a mount gives it.

As in builder.filesystems.ext4.read, each number is checked. A chain of clusters that returns to itself, a directory
with two parents and an invalid name are refused (Microsoft, FAT32 File System Specification, fatgen103).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator

from builder.disk.entry import Entry, Piece
from builder.disk.region import Region
from builder.disk.walk import LARGEST_DIRECTORY, MOST_READ, Budget, Walk, damaged
from builder.errors import VerifyError
from builder.filesystems.fat32.boot_sector import read_boot_sector
from builder.filesystems.fat32.directory import Short, read_entries
from builder.units import MIB, SECTOR

MODE = 0o755
MOST_PIECES = 1_000_000
LARGEST_TABLE = 64 * MIB
"""Of a FAT with clusters of 32 KiB: 512 GiB."""
VALUE = 0x0FFFFFFF
"""The bits of an entry of the table that are its value; zero means free."""
END = 0x0FFFFFF8
"""From this number on, a cluster is the last of its chain."""


def is_fat32(region: Region) -> bool:
    """Say whether there is a FAT32."""
    return region.read(82, 5) == b"FAT32"


def read_fat(region: Region, mount: str) -> list[Entry]:
    """Return everything on a FAT32 by its path below `mount`; VerifyError for a damaged one."""
    try:
        return list(_Fat(region).walk(mount))
    except struct.error as error:
        raise _damaged(str(error)) from None


def read_fat_file(region: Region, path: str, limit: int) -> tuple[bytes, int] | None:
    """Return the first bytes of a file and its time of modification; None if there is no such file.

    path  from the root, in any case
    """
    try:
        entry = _Fat(region).find(path)
    except struct.error as error:
        raise _damaged(str(error)) from None
    return (entry.read(limit), entry.mtime) if entry else None


def find_free(region: Region) -> Iterator[tuple[int, int]]:
    """Yield the free ranges of a FAT32 in bytes of the filesystem; VerifyError for a damaged one."""
    try:
        yield from _Fat(region).find_free()
    except struct.error as error:
        raise _damaged(str(error)) from None


class _Fat:
    """An open FAT32."""

    def __init__(self, region: Region) -> None:
        self._region = region
        boot = read_boot_sector(region)
        if len(region.read(0, SECTOR)) < SECTOR:
            raise _damaged("it has no boot sector")
        is_power = boot.cluster_sectors.bit_count() == 1
        if boot.sector_bytes != SECTOR or not is_power or not 1 <= boot.tables <= 2 or not boot.reserved:
            raise _damaged("its boot sector does not say how it is laid out")
        self._root = boot.root
        self._cluster_bytes = boot.cluster_bytes
        self._data = boot.data_sector * SECTOR
        self._clusters = boot.clusters
        table_bytes = (self._clusters + 2) * 4
        if table_bytes > min(boot.table_sectors * SECTOR, LARGEST_TABLE):
            raise _damaged(f"its table has no room for {self._clusters} clusters, or more than is read")
        content = region.read(boot.reserved * SECTOR, table_bytes)
        if len(content) != table_bytes:
            raise _damaged("it ends within its table")
        self._table = array("I", content)
        self._followed = Budget("FAT", "clusters in its chains, of which each can be in one", self._clusters)
        self._pieces = Budget("FAT", "pieces of files", MOST_PIECES)
        self._content = Budget("FAT", "bytes that are read of its files", MOST_READ)

    def walk(self, mount: str) -> Iterator[Entry]:
        """Yield every entry, each directory before what is in it."""
        yield Entry(mount, "directory", MODE, 0, 0, 0, 0)
        root = self._open_root()
        # Letters outside of ASCII are folded too: two names that any system takes for one are refused.
        walk = Walk("FAT", self._list, lambda short: short.first if short.is_directory else None, fold=str.lower)
        for path, short in walk.below(mount, root):
            yield self._make(short, path)

    def find(self, path: str) -> Entry | None:
        """Return the file at a path from the root, in any case; None if there is none."""
        short, top = self._open_root(), ""
        for part in path.strip("/").split("/"):
            names = self._list(top or "/", short) if short.is_directory else ()
            match = next((item for item in names if item[0].lower() == part.lower()), None)
            if match is None:
                return None
            top, short = f"{top}/{match[0]}", match[1]
        return None if short.is_directory else self._make(short, top)

    def _open_root(self) -> Short:
        return Short("", is_directory=True, first=self._root, size_bytes=0, mtime=0)

    def find_free(self) -> Iterator[tuple[int, int]]:
        """Yield start and end of each free range."""
        begin = None
        for number in range(2, self._clusters + 3):
            is_free = number < self._clusters + 2 and not self._table[number] & VALUE
            if is_free and begin is None:
                begin = number
            elif not is_free and begin is not None:
                yield self._offset(begin), self._offset(number)
                begin = None

    def _make(self, short: Short, path: str) -> Entry:
        alias = short.alias if short.alias.lower() != short.name.lower() else ""
        if short.is_directory:
            return Entry(path, "directory", MODE, 0, 0, 0, short.mtime, alias=alias)
        pieces = tuple(self._read_chain(short.first, short.size_bytes, path)) if short.size_bytes else ()
        return Entry(
            path, "file", MODE, 0, 0, short.size_bytes, short.mtime, pieces=pieces, alias=alias, budget=self._content
        )

    def _read_chain(self, first: int, size_bytes: int, path: str) -> Iterator[Piece]:
        """Yield the pieces of content; clusters that follow each other are one piece."""
        needed = -(-size_bytes // self._cluster_bytes)
        start = run = clusters = 0
        for cluster in self._follow(first, path, most=needed):
            if run and cluster == start + run:
                run += 1
            else:
                if run:
                    yield self._piece(clusters - run, start, run)
                start, run = cluster, 1
            clusters += 1
        if clusters < needed:
            raise _damaged(f"{path} ends after {clusters} of {needed} clusters")
        yield self._piece(clusters - run, start, run)

    def _piece(self, index: int, cluster: int, count: int) -> Piece:
        self._pieces.use(1)
        offset = self._region.offset_bytes + self._offset(cluster)
        return Piece(index * self._cluster_bytes, count * self._cluster_bytes, self._region.path, offset)

    def _offset(self, cluster: int) -> int:
        return self._data + (cluster - 2) * self._cluster_bytes

    def _follow(self, first: int, path: str, *, most: int) -> Iterator[int]:
        """Yield the clusters of a chain, at most `most`."""
        cluster = first
        for _ in range(min(most, self._clusters)):
            if not 2 <= cluster < self._clusters + 2:
                raise _damaged(f"{path} leads to the cluster {cluster}, which there is not")
            self._followed.use(1)  # A thousand files can begin with the same cluster.
            yield cluster
            cluster = self._table[cluster] & VALUE
            if cluster >= END:
                return

    def _list(self, path: str, directory: Short) -> Iterator[tuple[str, Short]]:
        """Yield the entries of a directory, in the order of the disk."""
        most = min(LARGEST_DIRECTORY // self._cluster_bytes, self._clusters)
        clusters = list(self._follow(directory.first, path, most=most + 1))
        if len(clusters) > most or len(set(clusters)) != len(clusters):
            raise _damaged(f"the directory {path} has no end")
        content = b"".join(self._read_cluster(cluster) for cluster in clusters)
        for short in read_entries(content, path):
            yield short.name, short

    def _read_cluster(self, cluster: int) -> bytes:
        return self._region.read(self._offset(cluster), self._cluster_bytes)


def _damaged(what: str) -> VerifyError:
    return damaged("FAT", what)
