# SPDX-License-Identifier: MIT
"""Make the disk of a plan: slots with numbers, type codes and ids, from the recipe's partitions and blobs.

Positions come from builder.recipe.geometry. A loaded recipe has no overlaps.
"""

from __future__ import annotations

from typing import Literal

from builder.plan.ids import Identity
from builder.plan.model import BlobPlan, Disk, Slot
from builder.recipe.geometry import BACKUP_SECTORS, Extent, holes_of, place_partitions
from builder.recipe.model import Blob, Partition, Recipe, Table
from builder.units import load_size

ESP_TYPES = {"mbr": "ef", "gpt": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"}
"""Partition types of an EFI system partition (UEFI specification 2.10, 5.2.2 and 5.3.3), as sfdisk takes them."""

DEVICE_TIMEOUT = "x-systemd.device-timeout="


def make_disk(recipe: Recipe, identity: Identity) -> Disk:
    """Return the disk of a recipe, with all ids."""
    table = recipe.table
    extents = place_partitions(table)
    return Disk(
        type=table.type,
        id=make_mbr_id(table, identity) if table.type == "mbr" else identity.make_uuid("disk"),
        slots=tuple(_make_slot(table, index, extent, identity) for index, extent in enumerate(extents)),
        blobs=tuple(_make_blob(name, blob) for name, blob in recipe.blobs.items()),
    )


def make_mbr_id(table: Table, identity: Identity) -> str:
    """Return the disk signature (8 hex digits). Its low half is at bytes 440 and 441, which boot code may use too."""
    whole = identity.make_id32("disk")
    return whole[:4] + table.id_ends_with if table.id_ends_with else whole


def _make_slot(table: Table, index: int, extent: Extent, identity: Identity) -> Slot:
    partition = table.partitions[index]
    number = index + 1
    is_mbr = table.type == "mbr"
    row = partition.filesystem.row
    partuuid = identity.make_uuid(f"partition {partition.name}")
    if is_mbr:  # The kernel's PARTUUID of signature and number (block/partitions/msdos.c: "%08x-%02x").
        partuuid = f"{make_mbr_id(table, identity)}-{number:02x}"
    return Slot(
        number=number,
        name=partition.name,
        filesystem=partition.filesystem,
        start_sector=extent.start_sector,
        sectors=extent.sectors,
        margin_bytes=load_size(partition.margin),
        mount=partition.mount,
        options=_find_options(partition),
        label=partition.label,
        type_code=ESP_TYPES[table.type] if "esp" in partition.flags else row.mbr_type if is_mbr else row.gpt_type,
        bootable="boot" in partition.flags,
        partuuid=partuuid,
        fs_id=(identity.make_id32 if row.has_short_id else identity.make_uuid)(f"filesystem {partition.name}"),
    )


def _find_options(partition: Partition) -> str:
    """Return the mount options of a recipe, with a longer device timeout for partitions other than the root.

    The default is 90 s (systemd.mount(5)), and then emergency mode: no ssh, and a prompt for root on a board that may
    have no screen. A slow card or an emulated board takes longer at its first start.
    """
    options = partition.options.split(",")
    if partition.mount == "/" or "nofail" in options or any(option.startswith(DEVICE_TIMEOUT) for option in options):
        return partition.options
    return f"{partition.options},{DEVICE_TIMEOUT}10min"


def _make_blob(name: str, blob: Blob) -> BlobPlan:
    source: Literal["rootfs", "file", "url"] = "rootfs" if blob.rootfs else "file" if blob.file else "url"
    return BlobPlan(
        name=name,
        source=source,
        location=str(blob.rootfs or blob.file or blob.url),
        sha256=blob.sha256,
        offset_bytes=load_size(blob.offset),
        limit_bytes=load_size(blob.size),
        holes=tuple(sorted(holes_of(blob))),
    )


def find_disk_sectors(disk: Disk) -> int | None:
    """Return the sectors of the disk, with its backup table; None if a slot's size depends on its content."""
    last = disk.slots[-1]
    return None if last.sectors is None else last.start_sector + last.sectors + BACKUP_SECTORS[disk.type]
