# SPDX-License-Identifier: MIT
"""/etc/fstab, by PARTUUID: the same names that the kernel command line and the partition table use."""

from __future__ import annotations

from typing import Literal

from builder import quote
from builder.plan.model import Plan, Slot
from builder.rootfs.model import FSTAB_TYPES


def render_fstab(plan: Plan, *, by: Literal["partuuid", "label"] = "partuuid") -> str:
    """Return the file; the root filesystem is checked first, the others after it.

    by  how partitions are named; labels are for the time in which the ids of the image must not matter yet
    """
    slots = sorted(plan.disk.slots, key=lambda slot: slot.mount)
    rows = [
        quote.line(
            f"{_name(slot, by)} {slot.mount} {FSTAB_TYPES[slot.filesystem]} {slot.options}"
            f" 0 {1 if slot.mount == '/' else 2}"
        )
        for slot in slots
    ]
    return "\n".join(["# Written by Boardwright; the partitions are found by the ids in the table.", *rows, ""])


def _name(slot: Slot, by: str) -> str:
    return f"PARTUUID={slot.partuuid}" if by == "partuuid" else f"LABEL={slot.label}"
