# SPDX-License-Identifier: MIT
"""The disk has the planned layout, and its filesystems have no errors."""

from itertools import pairwise

from builder.plan.model import Plan, Slot
from builder.units import MIB, SECTOR
from builder.verify.facts.image import ImageFacts


def test_the_table_is_of_the_planned_type(image: ImageFacts, plan: Plan) -> None:
    assert image.table.type == plan.disk.type


def test_the_disk_has_the_planned_id(image: ImageFacts, plan: Plan) -> None:
    assert image.table.id == plan.disk.id.lower()


def test_sfdisk_finds_no_fault_in_the_table(image: ImageFacts) -> None:
    assert "No errors detected" in image.table_check.stdout
    assert not image.table_check.stderr


def test_there_are_as_many_partitions_as_planned(image: ImageFacts, plan: Plan) -> None:
    assert [row.number for row in image.table.partitions] == [slot.number for slot in plan.disk.slots]


def test_partitions_do_not_overlap(image: ImageFacts) -> None:
    rows = sorted(image.table.partitions, key=lambda row: row.start_sector)
    assert [row.number for row, after in pairwise(rows) if row.end_sector > after.start_sector] == []


def test_the_disk_is_whole_mebibytes_long(image: ImageFacts) -> None:
    assert image.size_bytes % MIB == 0


def test_a_slot_starts_where_planned(image: ImageFacts, slot: Slot) -> None:
    assert image.partition(slot).start_sector == slot.start_sector


def test_a_slot_is_aligned_to_a_mebibyte(image: ImageFacts, slot: Slot) -> None:
    assert image.partition(slot).offset_bytes % MIB == 0


def test_a_slot_is_as_long_as_planned(image: ImageFacts, slot: Slot) -> None:
    assert image.partition(slot).sectors == slot.sectors or slot.sectors is None


def test_a_slot_ends_within_the_disk(image: ImageFacts, slot: Slot) -> None:
    assert image.partition(slot).end_sector * SECTOR <= image.size_bytes


def test_a_slot_has_the_planned_type(image: ImageFacts, slot: Slot) -> None:
    assert image.partition(slot).type_code == slot.type_code.lower().zfill(2)


def test_a_slot_has_the_planned_partuuid(image: ImageFacts, slot: Slot) -> None:
    assert image.partition(slot).partuuid == slot.partuuid.lower()


def test_a_slot_is_bootable_if_planned(image: ImageFacts, slot: Slot) -> None:
    assert image.partition(slot).bootable is slot.bootable


def test_a_filesystem_is_of_the_planned_kind(image: ImageFacts, slot: Slot) -> None:
    assert image.filesystem(slot).kind == slot.filesystem


def test_a_filesystem_has_the_planned_id(image: ImageFacts, slot: Slot) -> None:
    assert image.filesystem(slot).id == slot.fs_id.lower()


def test_a_filesystem_has_the_planned_label(image: ImageFacts, slot: Slot) -> None:
    assert image.filesystem(slot).label.upper() == slot.label.upper()


def test_a_filesystem_fills_its_slot(image: ImageFacts, slot: Slot) -> None:
    assert image.partition(slot).sectors * SECTOR - image.filesystem(slot).size_bytes < MIB


def test_a_filesystem_has_its_margin_free(image: ImageFacts, slot: Slot) -> None:
    assert image.filesystem(slot).free_bytes >= (slot.margin_bytes if slot.sectors is None else MIB)


def test_fsck_finds_a_filesystem_clean(image: ImageFacts, slot: Slot) -> None:
    checked = image.fsck(slot)
    assert checked.code == 0, checked.stdout + checked.stderr
