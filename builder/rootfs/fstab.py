# SPDX-License-Identifier: MIT
"""/etc/fstab, by PARTUUID: the same names that the kernel command line and the partition table use."""

from __future__ import annotations

from builder.plan.model import Plan
from builder.recipe.model import Filesystem

TYPES = {Filesystem.FAT32: "vfat", Filesystem.EXT4: "ext4"}


def render_fstab(plan: Plan) -> str:
    """Return the file; the root filesystem is checked first, the others after it."""
    slots = sorted(plan.disk.slots, key=lambda slot: slot.mount)
    rows = [
        f"PARTUUID={slot.partuuid} {slot.mount} {TYPES[slot.filesystem]} {slot.options} 0 "
        + ("1" if slot.mount == "/" else "2")
        for slot in slots
    ]
    return "\n".join(["# Written by Boardwright; the partitions are found by the ids in the table.", *rows, ""])
