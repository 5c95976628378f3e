# SPDX-License-Identifier: MIT
"""Properties of layouts: whatever is asked for, slots never meet each other, the table or a blob."""

from __future__ import annotations

import re
import string
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.filesystem import Filesystem
from builder.plan.ids import Identity
from builder.plan.layout import find_disk_sectors, make_disk
from builder.recipe.boot import Boot, BootMethod
from builder.recipe.check_disk import check_blobs, check_table
from builder.recipe.geometry import ALIGNMENT_SECTORS, FIRST_SECTOR, TABLE_BYTES, find_overlap, written_ranges
from builder.recipe.model import Architecture, Archive, Blob, Kernel, Key, Partition, Recipe, Table
from builder.units import MIB

CHECKED = settings(deadline=None, max_examples=60, derandomize=True)
"""Machines that test are busy; and the same commit gives the same verdict."""

NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8)
FILESYSTEMS = st.sampled_from(list(Filesystem))
TYPES: st.SearchStrategy[Literal["mbr", "gpt"]] = st.sampled_from(["mbr", "gpt"])


def _partition(name: str, filesystem: Filesystem, size_mib: int, start: str | None = None) -> Partition:
    mount = "/" if name == "root" else f"/{name}"
    return Partition(name=name, filesystem=filesystem, size=f"{size_mib}MiB", start=start, mount=mount, label=name[:11])


def _recipe(table: Table, **more: Any) -> Recipe:
    key = Key(file="/usr/share/keyrings/a.gpg")
    return Recipe(
        title="t",
        architecture=Architecture.ARM64,
        suite="trixie",
        archives={"debian": Archive(url="http://x", suites=["trixie"], key=key)},
        kernel=Kernel(packages=["linux-image-arm64"]),
        hostname="h",
        locale="C.UTF-8",
        timezone="Etc/UTC",
        table=table,
        boot=Boot(method=BootMethod.EXTLINUX, cmdline={}),
        **more,
    )


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Tables of one to four partitions, some with a start of their own, good or bad; the last may be auto."""
    names = [*draw(st.lists(NAMES.filter(lambda name: name != "root"), max_size=3, unique=True)), "root"]
    starts = (
        st.none()
        | st.integers(0, 2000).map(lambda mib: f"{mib}MiB")
        | st.integers(0, 500).map(lambda mib: f"{mib * 2048}s")
    )
    partitions = [
        _partition(
            name, Filesystem.EXT4 if name == "root" else draw(FILESYSTEMS), draw(st.integers(34, 900)), draw(starts)
        )
        for name in names
    ]
    if draw(st.booleans()):
        partitions[-1] = partitions[-1].model_copy(update={"size": "auto"})
    return Table(type=draw(TYPES), partitions=partitions)


@CHECKED
@given(tables(), st.binary(min_size=32, max_size=32))
def test_slots_of_a_checked_table_never_meet(table: Table, seed: bytes) -> None:
    disk = make_disk(_recipe(table), Identity(seed))
    free = FIRST_SECTOR[table.type]
    in_order = True
    for slot in disk.slots:
        in_order = in_order and slot.start_sector >= free
        free = slot.start_sector + (slot.sectors or 0)
    assert in_order == (not list(check_table(table)))


@CHECKED
@given(tables(), st.binary(min_size=32, max_size=32))
def test_slots_without_a_start_are_aligned_and_ids_have_their_forms(table: Table, seed: bytes) -> None:
    disk = make_disk(_recipe(table), Identity(seed))
    assert disk == make_disk(_recipe(table), Identity(seed))
    for slot, partition in zip(disk.slots, table.partitions, strict=True):
        assert partition.start or slot.start_sector % ALIGNMENT_SECTORS == 0
        is_fat = slot.filesystem is Filesystem.FAT32
        assert re.fullmatch(r"[0-9a-f]{8}" if is_fat else r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", slot.fs_id)
    assert len({slot.partuuid for slot in disk.slots}) == len(disk.slots)
    assert len({slot.fs_id for slot in disk.slots}) == len(disk.slots)


@st.composite
def blobs(draw: st.DrawFn, largest: int = 3 * MIB) -> Blob:
    size = draw(st.integers(1, largest))
    hole = st.tuples(st.integers(0, size - 1), st.integers(0, size)).map(
        lambda pair: {"offset": str(pair[0]), "size": str(min(pair[1], size - pair[0]))}
    )
    holes = draw(st.lists(hole, max_size=3))
    offset = draw(st.integers(0, 2 * MIB))
    return Blob.model_validate({"rootfs": "a", "offset": str(offset), "size": str(size), "holes": holes})


@CHECKED
@given(st.lists(blobs(), min_size=1, max_size=3), TYPES)
def test_no_byte_of_checked_blobs_is_anothers(some: list[Blob], table_type: Any) -> None:
    table = Table(type=table_type, partitions=[_partition("root", Filesystem.EXT4, 100, "2MiB")])
    taken = [TABLE_BYTES[table.type], (2 * MIB, 102 * MIB)]
    is_free = True
    for blob in some:
        is_free = is_free and all(find_overlap(written_ranges(blob), other) is None for other in taken)
        taken += written_ranges(blob)
    named = {f"b{index}": blob for index, blob in enumerate(some)}
    assert is_free == (not list(check_blobs(named, table)))


@CHECKED
@given(blobs(largest=2000))
def test_written_ranges_and_holes_make_up_a_blob(blob: Blob) -> None:
    offset, size = int(blob.offset), int(blob.size)
    written = [False] * size
    for first, end in written_ranges(blob):
        assert not any(written[first - offset : end - offset])
        written[first - offset : end - offset] = [True] * (end - first)
    for hole in blob.holes:
        start, length = int(hole.offset), int(hole.size)
        assert not any(written[start : start + length])
        written[start : start + length] = [False] * length
    holes = {byte for hole in blob.holes for byte in range(int(hole.offset), int(hole.offset) + int(hole.size))}
    assert sum(written) == size - len(holes)


@pytest.mark.parametrize(("table_type", "sectors"), [("mbr", 2048 + 204800), ("gpt", 2048 + 204800 + 33)])
def test_a_disk_has_room_for_the_copy_of_its_table(table_type: Any, sectors: int) -> None:
    table = Table(type=table_type, partitions=[_partition("root", Filesystem.EXT4, 100)])
    assert find_disk_sectors(make_disk(_recipe(table), Identity(bytes(32)))) == sectors


def test_ids_are_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zero:
        def digest(self) -> bytes:
            return bytes(32)

    monkeypatch.setattr("builder.plan.ids.hashlib.sha256", lambda _: Zero())
    assert Identity(bytes(32)).make_id32("disk") == "00000001"


def test_ids_do_not_change_from_one_release_of_boardwright_to_the_next() -> None:
    """Golden values: changing how ids are made gives every image in the field another identity on its next build."""
    identity = Identity(bytes(range(32)))
    assert identity.make_id32("disk") == "b92778da"
    assert identity.make_uuid("disk") == "c5a0868c-b5c9-5895-86a8-7e6da0b484f1"


@pytest.mark.parametrize(
    ("mount", "asked", "planned"),
    [
        ("/boot", "defaults", "defaults,x-systemd.device-timeout=10min"),
        ("/boot", "ro,nofail", "ro,nofail"),
        ("/boot", "x-systemd.device-timeout=5,ro", "x-systemd.device-timeout=5,ro"),
        ("/", "defaults,noatime", "defaults,noatime"),
    ],
)
def test_a_partition_beside_the_root_has_time_to_appear(mount: str, asked: str, planned: str) -> None:
    """systemd's 90 s ended in emergency mode on emulated boards that were busy with their first start."""
    partition = _partition("boot", Filesystem.FAT32, 100).model_copy(update={"mount": mount, "options": asked})
    disk = make_disk(_recipe(Table(type="mbr", partitions=[partition])), Identity(bytes(32)))
    assert disk.slots[0].options == planned
