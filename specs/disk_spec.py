# SPDX-License-Identifier: MIT
"""The disk is laid out as planned."""

from builder.plan.model import Plan, Slot
from builder.verify.subject import Subject


def test_the_table_is_of_the_planned_type(image: Subject, plan: Plan) -> None:
    assert image.table.type == plan.disk.type


def test_the_disk_has_the_planned_id(image: Subject, plan: Plan) -> None:
    assert image.table.id == plan.disk.id.lower()


def test_a_slot_starts_where_planned(image: Subject, slot: Slot) -> None:
    assert image.partition(slot).start_sector == slot.start_sector
