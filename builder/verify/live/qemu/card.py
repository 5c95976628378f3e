# SPDX-License-Identifier: MIT
"""Make the card of a machine: a sparse copy of the image, larger than the image, like a real card.

User-data is written to the FAT partition of the copy. The image is only read.
"""

from __future__ import annotations

from pathlib import Path

from builder.disk.region import MTOOLS, Region
from builder.errors import MachineError
from builder.filesystem import Filesystem
from builder.filesystems.fat32.read import read_fat
from builder.plan.model import Plan, Slot
from builder.system.process import run
from builder.units import GIB, SECTOR

SMALLEST = 4 * GIB
ROOM = 2 * GIB
"""Minimum free space on the card behind the image."""
COPY_S = 60.0
"""Timeout of mcopy, which may read a damaged FAT for long."""


def make_card(image: Path, plan: Plan, directory: Path, *, user_data: Path | None = None) -> Path:
    """Copy an image into `directory` and return the path of the card; SpaceError on a full disk."""
    card = directory / "card.img"
    run(["cp", "--sparse=always", "--reflink=auto", image, card])
    run(["truncate", f"--size={find_size(image.stat().st_size)}", card])
    if user_data:
        put_user_data(card, plan, user_data)
    return card


def find_size(image_bytes: int) -> int:
    """Return the size of the card: a power of two, because QEMU refuses other SD cards."""
    return max(SMALLEST, 1 << (image_bytes + ROOM - 1).bit_length())


def put_user_data(card: Path, plan: Plan, file: Path, *, name: str = "user-data") -> None:
    """Replace user-data, or another file of cloud-init, on the card, as a user edits it."""
    region = find_place(card, find_firmware(plan))
    read_fat(region, "/")  # A damaged one is not written to: mtools takes it all the same.
    argv: list[str | Path] = ["mcopy", "-n", "-o", "-i", region.for_mtools, file, f"::/{name}"]
    run(argv, env=MTOOLS, timeout_s=COPY_S)


def find_firmware(plan: Plan) -> Slot:
    """Return the FAT slot, which any computer can edit; the system has it at /boot/firmware."""
    fats = [slot for slot in plan.disk.slots if slot.filesystem is Filesystem.FAT32]
    if not fats:
        raise MachineError(f"board {plan.board} has no FAT partition to put user-data on")
    return plan.slot("/boot/firmware") or fats[0]


def find_place(card: Path, slot: Slot) -> Region:
    """Return where the filesystem of a slot lies."""
    return Region(card, slot.start_sector * SECTOR)
