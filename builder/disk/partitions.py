# SPDX-License-Identifier: MIT
"""The partition table of an image, as sfdisk reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import VerifyError
from builder.system.process import run
from builder.text import make_line
from builder.units import SECTOR

READ_S = 30.0
MOST_SECTORS = 2**48
"""Largest number of sectors that ATA and every card can address; a GPT has 64 bits for it."""
WHOLE = "name the image of a whole disk, as `boardwright build` makes it"


@dataclass(frozen=True)
class DiskPartition:
    """A row of the table."""

    number: int
    start_sector: int
    sectors: int
    type_code: str
    """Two hex digits in an MBR, a UUID in lower case in a GPT."""
    bootable: bool
    partuuid: str
    """The value of PARTUUID=."""
    name: str
    """Only a GPT has names."""

    @property
    def offset_bytes(self) -> int:
        """Start in bytes."""
        return self.start_sector * SECTOR

    @property
    def end_sector(self) -> int:
        """The first sector behind it."""
        return self.start_sector + self.sectors


@dataclass(frozen=True)
class DiskTable:
    """A partition table."""

    type: str
    """mbr or gpt."""
    id: str
    partitions: tuple[DiskPartition, ...]


def read_whole_table(image: Path) -> DiskTable:
    """Return the table of an image that is as long as its table says; VerifyError for half of one."""
    table, size = read_table(image), image.stat().st_size
    end = max((partition.end_sector * SECTOR for partition in table.partitions), default=0)
    if end > size:
        raise VerifyError(
            f"{image.name} ends at byte {size}, and its last partition at byte {end}: a part of it is missing",
            hint="fetch or copy it again, and compare its checksum",
        )
    return table


def read_table(image: Path) -> DiskTable:
    """Return the table of an image; VerifyError when it has none."""
    answer = run(["sfdisk", "--json", "--", image], ok=(0, 1), timeout_s=READ_S)
    if answer.code:
        raise VerifyError(
            f"{image.name} has no partition table that sfdisk can read: {answer.stderr.strip()}",
            hint=WHOLE,
        )
    try:
        read = json.loads(answer.stdout)["partitiontable"]
        kind, identity = ("mbr" if read["label"] == "dos" else "gpt"), str(read["id"]).lower().removeprefix("0x")
        rows = tuple(_load(kind, identity, row, read["device"]) for row in read.get("partitions", []))
    except (ValueError, KeyError, TypeError) as error:
        raise VerifyError(f"{image.name} has a partition table that cannot be one: {error}", hint=WHOLE) from None
    if wrong := [row for row in rows if not 1 <= row.start_sector < row.end_sector <= MOST_SECTORS]:
        raise VerifyError(
            f"{image.name} has the partition {wrong[0].number} over its table, of no size, or where no disk reaches",
            hint=WHOLE,
        )
    return DiskTable(kind, identity, rows)


def _load(kind: str, identity: str, row: dict[str, Any], device: str) -> DiskPartition:
    number = int(row["node"][len(device) :].lstrip("p"))
    code = str(row["type"]).lower()
    return DiskPartition(
        number=number,
        start_sector=row["start"],
        sectors=row["size"],
        type_code=f"{int(code, 16):02x}" if kind == "mbr" else code,
        bootable=row.get("bootable", False) or "LegacyBIOSBootable" in row.get("attrs", ""),
        partuuid=f"{identity}-{number:02x}" if kind == "mbr" else str(row["uuid"]).lower(),
        name=make_line(row.get("name", "")),
    )
