# SPDX-License-Identifier: MIT
"""The assembler that attaches each slot to a loop device of its own.

A slot is attached by offset and length: the kernel's partition scanning is not relied on, because in a container
the nodes of partitions do not appear and some kernels cannot read the table. In a container the nodes of loop
devices may be missing too; they are made. The device is entered in the workspace's journal, by its backing file,
before it is attached, and given back when the slot is finished, whatever happened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import BusyError, ToolError
from builder.image.target import Target, slot_sectors
from builder.plan.model import Slot
from builder.system.loop import CONTROL, find_free, loop_node
from builder.system.process import run
from builder.system.workspace import Workspace
from builder.units import SECTOR

TRIES = 16


def find_obstacle() -> str | None:
    """Return why loop devices cannot be used here, or None when they can."""
    if os.geteuid() != 0:
        return "only root may attach loop devices"
    try:
        device = _free_device()
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"{error.filename or CONTROL}: {error.strerror}"
    return None


@contextmanager
def open_slot(workspace: Workspace, image: Path, slot: Slot) -> Iterator[Target]:
    """Attach the slot of the image, yield its device, write everything back and detach it."""
    image = image.resolve()  # The kernel names backing files by their real path, and so does the journal.
    with workspace.journal.holding("loop", image):
        device = _attach(image, slot, workspace.log_file)
        yield Target(device, 0, slot.start_sector, slot_sectors(slot))
        _write_back(device)


def _attach(image: Path, slot: Slot, log_file: Path) -> Path:
    """Attach to a free device. Another process may be quicker between asking and taking: then ask again."""
    place = ["--offset", str(slot.start_sector * SECTOR), "--sizelimit", str(slot_sectors(slot) * SECTOR)]
    for _ in range(TRIES):
        device = _free_device()
        result = run(["losetup", *place, device, image], ok=(0, 1), log_file=log_file)
        if result.code == 0:
            return device
        if "busy" not in result.stderr:
            raise ToolError(
                f"losetup cannot attach {image} to {device}: {result.stderr.strip()}",
                hint="build with --assembler offline, which needs no loop device",
            )
    raise BusyError(
        f"{TRIES} free loop devices in a row were taken by others", hint="try again, or --assembler offline"
    )


def _free_device() -> Path:
    return loop_node(find_free())


def _write_back(device: Path) -> None:
    """Write the device's cached blocks to the image. mtools does not, and a full disk would go unnoticed."""
    handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
