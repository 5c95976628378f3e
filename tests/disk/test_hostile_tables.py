# SPDX-License-Identifier: MIT
"""Partition tables that are damaged on purpose: read, or refused with a message, and soon."""

from __future__ import annotations

import struct
import time
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.disk import partitions
from builder.disk.partitions import DiskTable, read_table, read_whole_table
from builder.errors import VerifyError
from builder.units import MIB, SECTOR

pytestmark = pytest.mark.machine

DISK_SECTORS = 8 * MIB // SECTOR
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le


def gpt_entry(start: int, end: int, name: str = "root", *, kind: bytes = LINUX) -> bytes:
    return kind + uuid.uuid4().bytes_le + struct.pack("<QQQ", start, end, 0) + name.encode("utf-16-le").ljust(72, b"\0")


def write_gpt(image: Path, entries: list[bytes], *, count: int = 128, size: int = 128, **header: int) -> Path:
    """Write a GPT whose checksums are right, whatever else it has."""
    table = b"".join(entries).ljust(128 * 128, b"\0")
    fields = {"current": 1, "backup": DISK_SECTORS - 1, "first": 34, "last": DISK_SECTORS - 34, "table": 2} | header

    def make(current: int, backup: int, at: int) -> bytes:
        rest = struct.pack("<QQQQ", current, backup, fields["first"], fields["last"]) + uuid.uuid4().bytes
        rest += struct.pack("<QII", at, count, size)
        rest += struct.pack("<I", zlib.crc32(table[: min(count * size, len(table))]))
        head = b"EFI PART" + struct.pack("<II", 0x10000, 92) + bytes(8)
        summed = zlib.crc32(head + rest)
        return (head[:16] + struct.pack("<I", summed) + head[20:] + rest).ljust(SECTOR, b"\0")

    protective = bytes(446) + struct.pack("<B3xB3xII", 0, 0xEE, 1, DISK_SECTORS - 1) + bytes(48) + b"\x55\xaa"
    with image.open("wb") as stream:
        stream.write(protective + make(fields["current"], fields["backup"], fields["table"]) + table)
        stream.truncate(DISK_SECTORS * SECTOR)
        stream.seek((DISK_SECTORS - 33) * SECTOR)
        stream.write(table + make(fields["backup"], fields["current"], DISK_SECTORS - 33))
    return image


def write_mbr(image: Path, rows: list[tuple[int, int, int]]) -> Path:
    """Write an MBR of (type, start, sectors)."""
    table = b"".join(struct.pack("<B3xB3xII", 0, *row) for row in rows).ljust(64, b"\0")
    with image.open("wb") as stream:
        stream.write(bytes(440) + b"\x12\x34\x56\x78\0\0" + table + b"\x55\xaa")
        stream.truncate(DISK_SECTORS * SECTOR)
    return image


def read(image: Path) -> DiskTable | str:
    """Return the table, or the message about it; either comes within seconds."""
    begun = time.monotonic()
    try:
        return read_whole_table(image)
    except VerifyError as error:
        return error.message
    finally:
        assert time.monotonic() - begun < 20


def test_a_sound_one_is_read(tmp_path: Path) -> None:
    found = read(write_gpt(tmp_path / "image", [gpt_entry(2048, 4095)]))
    assert isinstance(found, DiskTable)
    assert [(row.start_sector, row.sectors, row.name) for row in found.partitions] == [(2048, 2048, "root")]


CRAFTED: dict[str, Callable[[Path], Path]] = {
    "ends before it begins": lambda image: write_gpt(image, [gpt_entry(4096, 2048)]),
    "far outside": lambda image: write_gpt(image, [gpt_entry(2**62, 2**63)]),
    "longer than the disk": lambda image: write_gpt(image, [gpt_entry(2048, 2**40)]),
    "over the table": lambda image: write_gpt(image, [gpt_entry(0, 2**40)]),
    "each over the other": lambda image: write_gpt(image, [gpt_entry(2048, 4096), gpt_entry(2049, 4095)]),
    "four billion entries": lambda image: write_gpt(image, [gpt_entry(2048, 4095)], count=2**32 - 1),
    "entries of two gigabytes": lambda image: write_gpt(image, [gpt_entry(2048, 4095)], size=2**31),
    "entries of no bytes": lambda image: write_gpt(image, [gpt_entry(2048, 4095)], size=0),
    "a table at the end of all": lambda image: write_gpt(image, [gpt_entry(2048, 4095)], table=2**63),
    "a backup at the end of all": lambda image: write_gpt(image, [gpt_entry(2048, 4095)], backup=2**63),
    "a name of half characters": lambda image: write_gpt(image, [gpt_entry(2048, 4095)[:56] + b"\x00\xd8" * 36]),
    "a name of escapes": lambda image: write_gpt(image, [gpt_entry(2048, 4095, '"\x1b]0;x\x07\n,: {}\\')]),
    "an extended partition in itself": lambda image: write_mbr(image, [(0x05, 0, 100), (0x83, 2048, 100)]),
    "an extended partition of nothing": lambda image: write_mbr(image, [(0x0F, 4096, 100)]),
    "an MBR far outside": lambda image: write_mbr(image, [(0x83, 2**32 - 1, 2**32 - 1)]),
    "an MBR of no sectors": lambda image: write_mbr(image, [(0x83, 2048, 0)]),
    "an MBR over itself": lambda image: write_mbr(image, [(0x83, 0, 100)]),
    "four times the same": lambda image: write_mbr(image, [(0x83, 2048, 100)] * 4),
    "a disk as a partition": lambda image: write_mbr(image, [(0xEE, 1, 2**32 - 1)]),
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_a_crafted_one_is_read_or_refused(kind: str, tmp_path: Path) -> None:
    found = read(CRAFTED[kind](tmp_path / "image"))
    if isinstance(found, str):
        assert found.startswith("image "), found
        return
    for row in found.partitions:
        assert 0 <= row.start_sector < row.end_sector <= DISK_SECTORS
        assert row.name.isprintable()


def test_a_chain_of_extended_partitions_ends(tmp_path: Path) -> None:
    image = write_mbr(tmp_path / "image", [(0x05, 2048, 8000)])
    with image.open("r+b") as stream:
        stream.seek(2048 * SECTOR + 446)
        # A logical partition, and then the same boot record again.
        stream.write(struct.pack("<B3xB3xII", 0, 0x83, 8, 100) + struct.pack("<B3xB3xII", 0, 0x05, 0, 8000))
        stream.write(bytes(32) + b"\x55\xaa")
    assert read(image)


def test_a_partition_where_no_disk_reaches_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = write_gpt(tmp_path / "image", [gpt_entry(2048, 4095)])
    monkeypatch.setattr(partitions, "MOST_SECTORS", 4095)
    with pytest.raises(VerifyError, match="the partition 1 over its table, of no size, or where no disk reaches"):
        read_table(image)
