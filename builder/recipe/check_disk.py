# SPDX-License-Identifier: MIT
"""Check the disk of a recipe: overlaps of partitions, blobs and the table, and duplicate names."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from builder.filesystem import Filesystem
from builder.recipe.geometry import (
    ALIGNMENT_SECTORS,
    FIRST_SECTOR,
    TABLE_BYTES,
    Extent,
    find_overlap,
    holes_of,
    place_partitions,
    written_ranges,
)
from builder.recipe.model import Blob, Partition, Table
from builder.recipe.nodes import Steps
from builder.recipe.phrases import join_options
from builder.units import SECTOR, load_size

Finding = tuple[Steps, str]
MBR_SECTORS = 2**32
"""An MBR counts sectors in 32 bits."""
ROOTS = join_options(item for item in Filesystem if item.row.keeps_owners)
"""Filesystems for /, for messages."""


def check_table(table: Table) -> Iterator[Finding]:
    """Check that the partitions fit on one disk and have different names."""
    yield from _check_names(table)
    yield from _check_flags(table)
    yield from _check_root(table)
    yield from _check_sizes(table)
    yield from _check_places(table)
    if table.type == "mbr" and len(table.partitions) > 4:
        count = len(table.partitions)
        yield ("table", "partitions", 4), f"found {count} partitions; expected at most 4 in an mbr; a gpt takes more"
    if table.type == "gpt" and table.id_ends_with:
        yield ("table", "id_ends_with"), "found the end of a disk signature; expected one in an mbr only"


def _check_names(table: Table) -> Iterator[Finding]:
    for key in ("name", "mount", "label"):
        first: dict[str, str] = {}
        for index, partition in enumerate(table.partitions):
            value: str = getattr(partition, key)
            if value in first:
                where = ("table", "partitions", index, key)
                yield where, f"found {value!r} again, as in partition {first[value]!r}; expected each {key} once"
            first.setdefault(value, partition.name)


def _check_flags(table: Table) -> Iterator[Finding]:
    for flag in ("boot", "esp"):
        flagged = [index for index, partition in enumerate(table.partitions) if flag in partition.flags]
        for index in flagged[1:]:
            first = table.partitions[flagged[0]].name
            where = ("table", "partitions", index, "flags")
            yield where, f"found {flag} again, as in partition {first!r}; expected it once"
        for index in flagged:
            if flag == "esp" and table.partitions[index].filesystem is not Filesystem.FAT32:
                kind = table.partitions[index].filesystem.value
                yield ("table", "partitions", index, "filesystem"), f"found {kind}; expected fat32 with the flag esp"


def _check_root(table: Table) -> Iterator[Finding]:
    roots = [index for index, partition in enumerate(table.partitions) if partition.mount == "/"]
    if not roots:
        mounts = ", ".join(partition.mount for partition in table.partitions)
        yield ("table", "partitions"), f"found partitions mounted at {mounts}; expected one mounted at /"
    for index in roots:
        name = table.partitions[index].filesystem
        if not name.row.keeps_owners:
            yield (
                ("table", "partitions", index, "filesystem"),
                f"found {name}; expected {ROOTS} for /: it keeps owners",
            )


def _check_sizes(table: Table) -> Iterator[Finding]:
    last = len(table.partitions) - 1
    for index, partition in enumerate(table.partitions):
        where: Steps = ("table", "partitions", index)
        if partition.size == "auto":
            if index != last:
                yield (*where, "size"), "found auto; expected a size; auto is for the last partition"
        elif load_size(partition.size) < ALIGNMENT_SECTORS * SECTOR:
            yield (*where, "size"), f"found {partition.size!r}; expected at least 1MiB"
        for key, text in (("size", partition.size), ("start", partition.start or "auto")):
            if text != "auto" and load_size(text) % SECTOR:
                yield (*where, key), f"found {text!r}; expected whole sectors of {SECTOR} bytes"
        start = load_size(partition.start) // SECTOR if partition.start else 0
        if start % ALIGNMENT_SECTORS:
            near = start - start % ALIGNMENT_SECTORS
            nearest = f"for example {near}s or {near + ALIGNMENT_SECTORS}s, because cards erase whole blocks"
            yield (*where, "start"), f"found {partition.start!r}; expected whole MiB, {nearest}"


def _check_places(table: Table) -> Iterator[Finding]:
    extents = place_partitions(table)
    for index, (partition, extent) in enumerate(zip(table.partitions, extents, strict=True)):
        where = ("table", "partitions", index, "start" if partition.start else "size")
        if extent.start_sector < FIRST_SECTOR[table.type]:
            found = f"found {partition.start!r}, where the {table.type} is"
            yield where, f"{found}; expected {FIRST_SECTOR[table.type]}s or later"
        if index and partition.start:
            yield from _check_order(where, partition, extent, table.partitions[index - 1], extents[index - 1])
        end = extent.end_sector or extent.start_sector
        if table.type == "mbr" and end > MBR_SECTORS:
            yield where, f"found an end at sector {end}; expected at most {MBR_SECTORS} (2 TiB) in an mbr"
            return  # All later partitions have the same mistake.


def _check_order(
    where: Steps, partition: Partition, extent: Extent, before: Partition, extent_before: Extent
) -> Iterator[Finding]:
    end = extent_before.end_sector
    if end is not None and extent.start_sector < end:
        found = f"found {partition.start!r} (sector {extent.start_sector}), inside or before partition {before.name!r}"
        yield where, f"{found}; expected {end}s or later"


def check_blobs(blobs: dict[str, Blob], table: Table) -> Iterator[Finding]:
    """Check that no blob overlaps the table, a partition or another blob."""
    for name, blob in blobs.items():
        where: Steps = ("blobs", name)
        size = load_size(blob.size)
        if size == 0:
            yield (*where, "size"), f"found {blob.size!r}; expected more than 0"
        for index, (_, hole_end) in enumerate(holes_of(blob)):
            if hole_end > size:
                found = f"found a hole that ends at byte {hole_end} of the blob"
                yield (*where, "holes", index), f"{found}; expected at most its size, {size}"
        shared = find_overlap(written_ranges(blob), TABLE_BYTES[table.type])
        if shared:
            found = f"found bytes {shared[0]}-{shared[1] - 1}, where the {table.type} is"
            yield (*where, "offset"), f"{found}; {_way_out(blob, shared)}"
        yield from _check_blob_and_partitions(where, blob, table)
    yield from _check_blob_pairs(blobs)


def _check_blob_and_partitions(where: Steps, blob: Blob, table: Table) -> Iterator[Finding]:
    ranges = written_ranges(blob)
    extents = place_partitions(table)
    for partition, extent in zip(table.partitions, extents, strict=True):
        end_sector = MBR_SECTORS if extent.end_sector is None else extent.end_sector
        shared = find_overlap(ranges, (extent.start_sector * SECTOR, end_sector * SECTOR))
        if shared:
            found = f"found bytes {shared[0]}-{shared[1] - 1}, where partition {partition.name!r} is"
            yield (*where, "offset"), f"{found}; {_way_out(blob, shared)}, or give the partition a later `start`"
    disk_end = extents[-1].end_sector
    if disk_end is not None and any(end > disk_end * SECTOR for _, end in ranges):
        found = f"found an end behind partition {table.partitions[-1].name!r}"
        yield (
            (*where, "offset"),
            f"{found}; expected one before it: it grows to the end of the disk at first boot",
        )


def _check_blob_pairs(blobs: dict[str, Blob]) -> Iterator[Finding]:
    for (first_name, first), (name, blob) in combinations(blobs.items(), 2):
        for written in written_ranges(first):
            shared = find_overlap(written_ranges(blob), written)
            if shared:
                found = f"found bytes {shared[0]}-{shared[1] - 1}, where blob {first_name!r} is"
                yield ("blobs", name, "offset"), f"{found}; {_way_out(blob, shared)}"
                break


def _way_out(blob: Blob, shared: tuple[int, int]) -> str:
    offset = shared[0] - load_size(blob.offset)
    return f'move it, or leave them out with `holes: [{{offset: "{offset}", size: "{shared[1] - shared[0]}"}}]`'
