# SPDX-License-Identifier: MIT
"""Render /etc/fstab, by PARTUUID: the same ids as in the kernel command line and the partition table."""

from __future__ import annotations

from typing import Literal

from builder import quote
from builder.plan.model import Plan, Slot


def render_fstab(plan: Plan, *, by: Literal["partuuid", "label"] = "partuuid") -> str:
    """Return the text of fstab. The root filesystem is checked first, then the others.

    by  the names of partitions; labels are for layers, which must not depend on the ids of an image
    """
    slots = sorted(plan.disk.slots, key=lambda slot: slot.mount)
    rows = [
        quote.line(
            f"{_name(slot, by)} {slot.mount} {slot.filesystem.row.linux} {slot.options}"
            f" 0 {1 if slot.mount == '/' else 2}"
        )
        for slot in slots
    ]
    return "\n".join(["# Written by Boardwright; the partitions are found by the ids in the table.", *rows, ""])


def _name(slot: Slot, by: str) -> str:
    return f"PARTUUID={slot.partuuid}" if by == "partuuid" else f"LABEL={slot.label}"
