# SPDX-License-Identifier: MIT
"""Target of a filesystem: a range of a file, or a block device for that range.

Each tool has its own syntax for an offset. It is written here, so that both assemblers can use the same makers. All
tools also get the length of the range, and do not write outside of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.disk.region import Region
from builder.plan.model import Slot
from builder.units import SECTOR


@dataclass(frozen=True)
class Target(Region):
    """A range of `sectors` sectors. `start_sector` is its place on the disk, also when `offset_bytes` is 0."""

    start_sector: int
    sectors: int

    @property
    def size_bytes(self) -> int:
        """Length of the range in bytes."""
        return self.sectors * SECTOR

    def write(self, offset_bytes: int, data: bytes) -> None:
        """Overwrite bytes of the range."""
        with self.path.open("r+b", buffering=0) as stream:
            stream.seek(self.offset_bytes + offset_bytes)
            stream.write(data)


def slot_sectors(slot: Slot) -> int:
    """Return the length of a slot whose size is known."""
    if slot.sectors is None:
        raise AssertionError(f"slot {slot.name} was not measured")
    return slot.sectors


def target_in_file(path: Path, slot: Slot) -> Target:
    """Return the range of a slot in an image file."""
    return Target(path, slot.start_sector * SECTOR, slot.start_sector, slot_sectors(slot))
