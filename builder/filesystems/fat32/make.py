# SPDX-License-Identifier: MIT
"""Create a FAT32 and fill it with mtools, without the kernel (many kernels have no vfat).

The result depends only on names, contents and times of the tree. Names are sorted, a directory is created before its
files, and a time after the epoch (or before 1980) becomes the epoch. Never use `mcopy -s`, which follows the order of
the source directory, or `mcopy -b`, which damages files (github.com/pengutronix/genimage/issues/142).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.disk.region import MTOOLS, Region
from builder.errors import RecipeError, VerifyError
from builder.filesystems.fat32.boot_sector import read_boot_sector
from builder.filesystems.fat32.names import check_names
from builder.filesystems.target import Target
from builder.plan.model import Slot
from builder.system.process import Result, run
from builder.system.sparse import copy_range
from builder.system.workspace import Workspace
from builder.units import MIB, SECTOR

CLUSTERS = range(65525 + 16, 1 << 28)
"""Numbers of clusters of a FAT32 (Microsoft's fatgen103), with the recommended distance to FAT16."""
CLUSTER_SECTORS = (8, 4, 2, 1)
"""Possible cluster sizes. 4 KiB is preferred: the size of a page, and good for flash."""
RESERVED_SECTORS = 32
BACKUP_SECTOR = 6
"""Sector of the copy of the boot sector, in mformat and usually elsewhere."""
MINIMUM_BYTES = 34 * MIB
LARGEST_FILE = (1 << 32) - 1
YEAR_1980 = 315532800
BATCH = 200
"""Files per call of mcopy, so that the arguments stay far below the kernel's limit."""


@dataclass(frozen=True)
class Folder:
    """A directory of the tree, with the names of its directories and files, sorted by bytes."""

    path: Path
    inside: str
    """Path from the filesystem's root: "" or "/overlays"."""
    folders: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class FatContent:
    """The content of a tree: the length in bytes of each file and each directory."""

    lengths: tuple[int, ...]

    def shortage_bytes(self, size_bytes: int, margin_bytes: int) -> int:
        """Return how many bytes the filesystem is too small; see model.Content."""
        cluster = find_cluster_sectors(size_bytes // SECTOR)
        if cluster is None:
            return max(MINIMUM_BYTES - size_bytes, MIB)
        cluster_bytes = cluster * SECTOR
        needed = sum(-(-length // cluster_bytes) for length in self.lengths) + -(-margin_bytes // cluster_bytes)
        return max(0, needed - _count_clusters(size_bytes // SECTOR, cluster)) * cluster_bytes


def measure(tree: Path, workspace: Workspace) -> FatContent:
    """Return the lengths in a tree; raise RecipeError with all files that a FAT cannot store."""
    lengths = []
    problems = []
    for folder in _walk(tree, ""):
        problems += check_names(folder.inside, [*folder.folders, *folder.files])
        lengths.append(_directory_bytes(folder))
        for name in folder.files:
            status = (folder.path / name).lstat()
            lengths.append(status.st_size)
            problems += _check_file(f"{folder.inside}/{name}", status)
    if problems:
        shown = "".join(f"\n  {text}" for text in problems[:10])
        more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise RecipeError(
            f"a FAT filesystem cannot store these files of {tree}:{shown}{more}",
            hint="rename or remove these files, or make the partition ext4",
        )
    return FatContent(tuple(lengths))


def make(target: Target, slot: Slot, tree: Path, epoch: int, workspace: Workspace) -> None:
    """Create the filesystem of a slot and fill it with a tree."""
    cluster = find_cluster_sectors(target.sectors)
    if cluster is None:
        raise AssertionError(f"slot {slot.name} was not measured")
    environment = _environment(epoch)

    def mtool(name: str, *arguments: str | Path) -> None:
        command = [name, "-i", target.for_mtools, *arguments]
        run(command, env=environment, log_file=workspace.log_file)

    geometry = ["-T", str(target.sectors), "-h", "255", "-s", "63", "-H", str(target.start_sector)]
    identity = ["-N", slot.fs_id.replace("-", ""), "-v", slot.label.upper()]
    mtool("mformat", "-F", "-c", str(cluster), *geometry, *identity, "::")
    _clear_partition_entry(target)
    for folder in _walk(tree, ""):
        for names in _batches(folder.folders):
            mtool("mmd", *(f"::{folder.inside}/{name}" for name in names))
        # -m keeps a file's time; without it the file gets the epoch.
        older = [name for name in folder.files if YEAR_1980 <= (folder.path / name).lstat().st_mtime <= epoch]
        younger = [name for name in folder.files if name not in set(older)]
        for options, files in ((["-m"], older), ([], younger)):
            for names in _batches(files):
                mtool("mcopy", *options, *(folder.path / name for name in names), f"::{folder.inside}/")


def fsck(region: Region, size_bytes: int, copy: Path) -> Result:
    """Return the result of fsck.vfat. It has no option for an offset, so it gets a sparse copy."""
    with copied(region, size_bytes, copy):
        return run(["fsck.vfat", "-n", copy], ok=range(256))


@contextmanager
def copied(region: Region, size_bytes: int, copy: Path) -> Iterator[None]:
    """Write a sparse copy of a range of a file, and remove it at the end."""
    try:
        with region.path.open("rb") as source, copy.open("wb") as target:
            end = region.offset_bytes + size_bytes
            copy_range(source.fileno(), target.fileno(), region.offset_bytes, end)
        yield
    finally:
        copy.unlink(missing_ok=True)


def check(target: Target, slot: Slot) -> None:
    """Raise VerifyError unless the filesystem is intact, is a FAT32 and has the slot's id and label."""
    copy = target.path.with_name(f"{target.path.name}.{target.start_sector}.copy")
    result = fsck(target, target.size_bytes, copy)
    if result.code != 0:
        raise VerifyError(f"fsck.vfat finds slot {slot.name} damaged:\n{(result.stdout + result.stderr).strip()}")
    boot = read_boot_sector(target)
    planned = (slot.fs_id.replace("-", "").lower(), slot.label.upper())
    if (boot.volume_id, boot.label) != planned or boot.clusters < CLUSTERS.start - 16:
        raise VerifyError(f"slot {slot.name}: found {boot}; expected a FAT32 with the id and label {planned}")


def find_cluster_sectors(sectors: int) -> int | None:
    """Return the largest cluster size that gives a FAT32 with that many sectors, or None if they are too few."""
    if sectors * SECTOR < MINIMUM_BYTES:
        return None
    return next((size for size in CLUSTER_SECTORS if _count_clusters(sectors, size) in CLUSTERS), None)


def _clear_partition_entry(target: Target) -> None:
    """Zero the partition table that mformat (4.0.32) writes into the boot sector and its copy.

    A partition needs none. It describes a disk with the size of the file, so it would differ between the assemblers.
    """
    for sector in (0, BACKUP_SECTOR):
        target.write(sector * SECTOR + 446, bytes(64))


def _count_clusters(sectors: int, cluster_sectors: int) -> int:
    """Return the number of clusters of a FAT32 with two tables, or slightly less."""
    table = -(-(sectors // cluster_sectors + 2) * 4 // SECTOR)
    return (sectors - RESERVED_SECTORS - 2 * table) // cluster_sectors


def _walk(path: Path, inside: str) -> Iterator[Folder]:
    """Yield a directory, then those below it."""
    with os.scandir(path) as entries:
        kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    names = sorted(kinds, key=os.fsencode)
    folders = tuple(name for name in names if kinds[name])
    yield Folder(path, inside, folders, tuple(name for name in names if not kinds[name]))
    for name in folders:
        yield from _walk(path / name, f"{inside}/{name}")


def _directory_bytes(folder: Folder) -> int:
    """Return the size of a directory: 32 bytes per entry and per 13 characters of a name, and 96 for `.` and `..`."""
    names = [*folder.folders, *folder.files]
    return 32 * (3 + sum(2 + len(name) // 13 for name in names))


def _check_file(shown: str, status: os.stat_result) -> list[str]:
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "a device, socket or pipe"
        return [f"{shown} is {kind}"]
    if status.st_size > LARGEST_FILE:
        return [f"{shown} has {status.st_size} bytes; expected at most {LARGEST_FILE}"]
    return []


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]


def _environment(epoch: int) -> dict[str, str]:
    """mtools with the plan's clock and without the settings of this machine's user."""
    return {**MTOOLS, "SOURCE_DATE_EPOCH": str(epoch)}
