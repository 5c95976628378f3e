# SPDX-License-Identifier: MIT
"""The boot sector of a FAT32, and its summary of free clusters (Microsoft, FAT32 File System Specification, fatgen103).

Nothing is checked here: the fields are the bytes as they are stored.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from builder.disk.region import Region
from builder.filesystems.model import FilesystemFacts
from builder.text import make_line
from builder.units import SECTOR


@dataclass(frozen=True)
class BootSector:
    """The fields of the first sector."""

    sector_bytes: int
    cluster_sectors: int
    reserved: int
    """Sectors before the first table."""
    tables: int
    table_sectors: int
    sectors: int
    root: int
    """The first cluster of the root directory."""
    info_sector: int
    volume_id: str
    """Eight hex digits in lower case."""
    label: str

    @property
    def cluster_bytes(self) -> int:
        """Length of a cluster, in sectors of 512 bytes."""
        return self.cluster_sectors * SECTOR

    @property
    def data_sector(self) -> int:
        """The sector of the first cluster."""
        return self.reserved + self.tables * self.table_sectors

    @property
    def clusters(self) -> int:
        """Number of clusters."""
        return max(0, self.sectors - self.data_sector) // max(1, self.cluster_sectors)


def read_boot_sector(region: Region) -> BootSector:
    """Return the fields of the boot sector of a FAT32; zeros where the file ends before."""
    raw = region.read(0, SECTOR).ljust(SECTOR, b"\0")
    sector_bytes, cluster_sectors, reserved, tables = struct.unpack_from("<HBHB", raw, 11)
    sectors, table_sectors = struct.unpack_from("<II", raw, 32)
    root, info_sector = struct.unpack_from("<I", raw, 44)[0], struct.unpack_from("<H", raw, 48)[0]
    return BootSector(
        sector_bytes=sector_bytes,
        cluster_sectors=cluster_sectors,
        reserved=reserved,
        tables=tables,
        table_sectors=table_sectors,
        sectors=sectors,
        root=root,
        info_sector=info_sector,
        volume_id=f"{struct.unpack_from('<I', raw, 67)[0]:08x}",
        label=raw[71:82].decode("ascii", errors="replace").rstrip(),
    )


def read_facts(region: Region) -> FilesystemFacts:
    """Return what a FAT32 says of itself; its free space is that of its summary, which fsck.vfat checks."""
    boot = read_boot_sector(region)
    free = read_free_bytes(region, boot)
    return FilesystemFacts("fat32", boot.volume_id, make_line(boot.label), boot.sectors * SECTOR, free)


def read_free_bytes(region: Region, boot: BootSector) -> int:
    """Return the free bytes by the summary (FSInfo)."""
    raw = region.read(boot.info_sector * SECTOR + 488, 4).ljust(4, b"\0")
    return int.from_bytes(raw, "little") * boot.cluster_bytes
