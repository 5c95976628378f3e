# SPDX-License-Identifier: MIT
"""Assemble an image with a loop device for each slot.

A slot is attached by offset and length, without the kernel's partition scan: in a container the nodes of partitions do
not appear, and some kernels cannot read the table. Missing nodes of loop devices are created. The device is entered in
the workspace's journal, by its backing file, before it is attached. It is always detached when the slot is finished.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import BusyError, ToolError
from builder.filesystems.target import Target, slot_sectors
from builder.plan.model import Slot
from builder.system.loop import CONTROL, find_free, loop_node
from builder.system.process import run
from builder.system.workspace import Workspace
from builder.units import SECTOR

TRIES = 16


def find_obstacle() -> str | None:
    """Return why loop devices cannot be used here, or None."""
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
    """Attach a slot of the image, yield its device, flush it and detach it."""
    image = image.resolve()  # The kernel and the journal identify backing files by their real path.
    with workspace.journal.holding("loop", image):
        device = _attach(image, slot, workspace.log_file)
        yield Target(device, 0, slot.start_sector, slot_sectors(slot))
        _write_back(device)


def _attach(image: Path, slot: Slot, log_file: Path) -> Path:
    """Attach a slot to a free device; retry if another process has attached that device first."""
    extent = ["--offset", str(slot.start_sector * SECTOR), "--sizelimit", str(slot_sectors(slot) * SECTOR)]
    for _ in range(TRIES):
        device = _free_device()
        result = run(["losetup", *extent, device, image], ok=(0, 1), log_file=log_file)
        if result.code == 0:
            return device
        if "busy" not in result.stderr:
            raise ToolError(
                f"losetup cannot attach {image} to {device}: {result.stderr.strip()}",
                hint="build with --assembler offline, which needs no loop device",
            )
    raise BusyError(
        f"loop devices: other processes took {TRIES} free ones in a row", hint="try again, or use --assembler offline"
    )


def _free_device() -> Path:
    return loop_node(find_free())


def _write_back(device: Path) -> None:
    """Flush the device's cached blocks to the image. mtools does not, so a full disk would go unnoticed."""
    handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
