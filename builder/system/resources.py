# SPDX-License-Identifier: MIT
"""Release the resources of a build: loop devices, mounts, directories.

The name of a resource outlives its process: the file behind a loop device, the target of a mount, the path of a
directory. Releasing a missing resource does nothing. Containers are released by the Engine code.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from builder.errors import BusyError
from builder.system.loop import loop_node
from builder.system.paths import remove_tree
from builder.system.process import run

ResourceKind = Literal["loop", "mount", "directory", "container"]
Releaser = Callable[[str], None]

LOOP_GET_STATUS64 = 0x4C05
"""ioctl of a loop device (linux/loop.h): device and inode of its file come first in the answer."""
LOOP_INFO_BYTES = 232
DELETED = " (deleted)"
"""Suffix that the kernel adds to the path of a deleted file."""
GONE_S = 10.0
"""Timeout for a device to detach or a killed program to end."""
GLANCE_S = 0.02


def loop_devices(backing_file: str) -> list[str]:
    """Return the loop devices attached to a file, the deleted ones included (sysfs, loop/backing_file).

    With containers, the path is not enough. The mounts of a killed container are gone, and its device then shows the
    path below the mount (/rooms/… for /var/lib/boardwright/rooms/…). A running container may have the same path for
    another file. So the inode of the file is compared.
    """
    real = os.path.realpath(backing_file)
    return sorted(f"/dev/{name}" for name, backing in attached_files() if _is_attached_to(name, backing, real))


def attached_files() -> list[tuple[str, str]]:
    """Return the name of each attached loop device, with the path of its file as the kernel shows it here."""
    files = []
    for entry in sorted(Path("/sys/block").glob("loop*/loop/backing_file")):
        try:
            files.append((entry.parent.parent.name, entry.read_text(encoding="utf-8").strip()))
        except OSError:
            continue  # Detached between listing and reading.
    return files


def _is_attached_to(name: str, backing: str, path: str) -> bool:
    """Return whether a device that shows `backing` is attached to the file at `path`."""
    if backing.endswith(DELETED):
        return backing.removesuffix(DELETED) == path
    return path.endswith(backing) and is_backed_by(name, path)


def is_backed_by(name: str, path: str) -> bool:
    """Return whether a loop device is attached to a file (LOOP_GET_STATUS64); False if either cannot be read."""
    info = bytearray(LOOP_INFO_BYTES)
    try:
        file = Path(path).stat()
        with loop_node(name).open("rb") as device:
            fcntl.ioctl(device, LOOP_GET_STATUS64, info)
    except OSError:
        return False
    return struct.unpack_from("QQ", info) == (file.st_dev, file.st_ino)


def is_mounted(target: str) -> bool:
    """Return whether `target` is a mount point in this mount namespace."""
    return os.path.realpath(target) in _mount_targets()


def _mount_targets() -> list[str]:
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [line.split()[4].replace("\\040", " ") for line in mounts]


def _release_loop(backing_file: str) -> None:
    for device in loop_devices(backing_file):
        run(["losetup", "--detach", loop_node(Path(device).name)])
    deadline = time.monotonic() + GONE_S
    while still := loop_devices(backing_file):  # The kernel waits for the last process that has it open.
        if time.monotonic() > deadline:
            raise BusyError(f"{still[0]} stays attached to {backing_file}: a program has it open")
        time.sleep(GLANCE_S)


def _release_mount(target: str) -> None:
    if is_mounted(target):
        run(["umount", target])


def _remove_directory(path: str) -> None:
    inside = os.path.realpath(path) + "/"
    for target in _mount_targets():
        if target.startswith(inside):  # The mounted files would be removed too.
            raise BusyError(f"{path} is not removed: {target} is still mounted", hint="boardwright doctor --fix")
    deadline = time.monotonic() + GONE_S
    while Path(path).exists():
        try:
            remove_tree(Path(path))
        except OSError as error:
            # A program of a killed build may still write or remove files there.
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT) or time.monotonic() > deadline:
                raise
            time.sleep(GLANCE_S)


RELEASERS: Mapping[ResourceKind, Releaser] = {
    "loop": _release_loop,
    "mount": _release_mount,
    "directory": _remove_directory,
}
"""The release function of each kind of resource; it does nothing if the resource is already gone."""
