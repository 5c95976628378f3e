# SPDX-License-Identifier: MIT
"""Calculate slot sizes from the content: check that it fits, and find the size of `auto` slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder import log
from builder.errors import RecipeError, SpaceError
from builder.filesystems.model import Content
from builder.filesystems.table import DRIVERS
from builder.plan.model import Disk, Slot
from builder.rootfs.model import Rootfs
from builder.system.workspace import Workspace
from builder.units import MIB, SECTOR, align_up, render_size


def find_trees(disk: Disk, rootfs: Rootfs) -> Mapping[str, Path]:
    """Return the trees by slot name; raise RecipeError for a mount point without a tree."""
    for slot in disk.slots:
        if slot.mount not in rootfs.trees:
            raise RecipeError(
                f"table.partitions: {slot.name} is mounted at {slot.mount}, but the rootfs has no tree for it;"
                f" expected one of {', '.join(sorted(rootfs.trees))}"
            )
    return {slot.name: rootfs.trees[slot.mount] for slot in disk.slots}


def measure_slots(disk: Disk, trees: Mapping[str, Path], workspace: Workspace) -> Disk:
    """Return the disk with all sizes known.

    Raises SpaceError for a slot that is too small, RecipeError for content that its filesystem cannot store.
    """
    return replace(disk, slots=tuple(_measure(slot, trees[slot.name], workspace) for slot in disk.slots))


def _measure(slot: Slot, tree: Path, workspace: Workspace) -> Slot:
    content = DRIVERS[slot.filesystem].measure(tree, workspace)
    if slot.sectors is None:
        size_bytes = find_size(content, slot.margin_bytes)
        log.note(f"{slot.name} gets {render_size(size_bytes)}, {render_size(slot.margin_bytes)} of it free")
        return replace(slot, sectors=size_bytes // SECTOR)
    given_bytes = slot.sectors * SECTOR
    if content.shortage_bytes(given_bytes, 0) > 0:
        needed_bytes = max(find_size(content, 0), align_up(given_bytes + 1, MIB))
        raise SpaceError(
            f"slot {slot.number} ({slot.name}) has {render_size(given_bytes)};"
            f" its content needs {render_size(needed_bytes)}",
            hint=f"raise the `size` of {slot.name} in table.partitions to {needed_bytes // MIB}MiB or more,"
            " or set it to `auto` if it is the last one",
        )
    return slot


def find_size(content: Content, margin_bytes: int) -> int:
    """Return the size in whole MiB that leaves `margin_bytes` free; it is raised until there is no shortage."""
    size_bytes = MIB
    while shortage := content.shortage_bytes(size_bytes, margin_bytes):
        size_bytes = align_up(size_bytes + shortage, MIB)
    return size_bytes
