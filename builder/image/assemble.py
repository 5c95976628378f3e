# SPDX-License-Identifier: MIT
"""Build a disk file from plan and rootfs.

There are two assemblers. `loop` attaches each slot to a device for the filesystem tools; with `offline` the tools
work inside the file. Both give the same bytes, at any time and on any machine. The file is sparse. It is checked with
tools that did not write it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType

from builder import log
from builder.choices import Assembler
from builder.errors import MachineError, SpaceError, ToolError, VerifyError
from builder.filesystems.table import DRIVERS, read_facts
from builder.filesystems.target import Target, target_in_file
from builder.image import loop, offline
from builder.image.blobs import check_blobs, find_blobs, write_blobs
from builder.image.model import Image
from builder.image.sizes import find_trees, measure_slots
from builder.image.table import check_table, disk_bytes, write_table
from builder.plan.model import Plan, Slot
from builder.rootfs.model import Rootfs
from builder.system.workspace import Workspace
from builder.units import MIB, render_size

OpenSlot = Callable[[Workspace, Path, Slot], AbstractContextManager[Target]]

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
ALMOST_FULL_BYTES = 4 * MIB
"""With less free space than this, an input/output error of a loop device means that its file could not grow."""


def make_image(
    plan: Plan,
    rootfs: Rootfs,
    workspace: Workspace,
    *,
    assembler: Assembler = Assembler.AUTO,
    blobs: Mapping[str, Path] = MappingProxyType({}),
    directory: Path | None = None,
) -> Image:
    """Return the image of a plan, filled with a rootfs.

    assembler  loop, offline, or auto: offline, which writes the image once
    blobs      files of the plan's url blobs by name, already downloaded and verified
    directory  directory of the image; default: the scratch directory

    Raises RecipeError (missing file of a blob, file names that a filesystem cannot store), SpaceError (content too
    large, disk full), MachineError (missing tools or loop devices), ToolError, VerifyError (the result differs from
    the plan).
    """
    open_slot = _choose_assembler(assembler)
    trees = find_trees(plan.disk, rootfs)
    files = find_blobs(plan.disk, rootfs, blobs)
    directory = (directory or workspace.scratch).resolve()
    with _explaining_full_disk(workspace.scratch, directory):
        with log.step("measure the content"):
            disk = measure_slots(plan.disk, trees, workspace)
        image = Image(directory / plan.image_name, disk_bytes(disk), disk)
        with log.step(f"partition table and {len(files)} boot blobs ({render_size(image.size_bytes)})"):
            _make_file(image)
            write_blobs(files, image.path)
            write_table(disk, image.path, workspace.log_file)
        for slot in disk.slots:
            with log.step(f"{slot.filesystem} {slot.name}"), open_slot(workspace, image.path, slot) as target:
                DRIVERS[slot.filesystem].make(target, slot, trees[slot.name], plan.epoch, workspace)
        with log.step("check the image"):
            check_image(image)
            check_blobs(files, image.path)
            _check_margin(plan, image)
    return image


def check_image(image: Image) -> None:
    """Raise VerifyError, with the tools' output, unless table and filesystems are intact and as planned."""
    if (size_bytes := image.path.stat().st_size) != image.size_bytes:
        raise VerifyError(f"{image.path.name}: found {size_bytes} bytes; expected {image.size_bytes}")
    check_table(image.disk, image.path)
    for slot in image.disk.slots:
        DRIVERS[slot.filesystem].check(target_in_file(image.path, slot), slot)


def _choose_assembler(wanted: Assembler) -> OpenSlot:
    if wanted != "loop":
        return offline.open_slot
    if obstacle := loop.find_obstacle():
        raise MachineError(
            f"--assembler loop: loop devices cannot be used here: {obstacle}",
            hint="build with --assembler offline; the image is the same",
        )
    return loop.open_slot


def _make_file(image: Image) -> None:
    image.path.unlink(missing_ok=True)
    image.path.touch()
    os.truncate(image.path, image.size_bytes)


def _check_margin(plan: Plan, image: Image) -> None:
    for asked, slot in zip(plan.disk.slots, image.disk.slots, strict=True):
        free_bytes = read_facts(target_in_file(image.path, slot)).free_bytes
        log.note(f"{slot.name}: {render_size(free_bytes)} free")
        if asked.sectors is None and free_bytes < slot.margin_bytes:
            raise VerifyError(
                f"slot {slot.name}: found {free_bytes} free bytes; expected {slot.margin_bytes}",
                hint="this is a bug in the size calculation; please report it with a list of the tree's files",
            )


def _find_free(directory: Path) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


@contextmanager
def _explaining_full_disk(*directories: Path) -> Iterator[None]:
    """Convert the different errors of a full disk to a SpaceError."""
    try:
        yield
    except (ToolError, OSError) as error:
        directory, free_bytes = min(((path, _find_free(path)) for path in directories), key=lambda pair: pair[1])
        is_full = isinstance(error, OSError) and error.errno in FULL_DISK
        if not is_full and free_bytes >= ALMOST_FULL_BYTES:
            raise
        raise SpaceError(
            f"the disk of {directory} is full ({render_size(free_bytes)} left): {error}",
            hint="free some space, or set BOARDWRIGHT_WORK to another directory",
        ) from error
