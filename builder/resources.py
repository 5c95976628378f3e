# SPDX-License-Identifier: MIT
"""What a build can hold, and how each kind is given back: loop devices, mounts, directories.

A resource is known by a name that outlives the process that took it: the file behind a loop device, the target of a
mount, the path of a directory. Giving back what is already gone does nothing. Containers are the Engine's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from builder.errors import BusyError
from builder.run import run

ResourceKind = Literal["loop", "mount", "directory", "container"]
Releaser = Callable[[str], None]

LOOP_GET_STATUS64 = 0x4C05
"""ioctl of a loop device (linux/loop.h): device and inode of its file come first in the answer."""
LOOP_INFO_BYTES = 232


def loop_devices(backing_file: str) -> list[str]:
    """Return the loop devices attached to a file, the deleted ones included (sysfs, loop/backing_file).

    A container that was killed takes its mounts along, and a device it attached then shows the path below the mount
    that is gone (/rooms/… for /var/lib/boardwright/rooms/…). Such a one is known by its inode.
    """
    found, real = [], os.path.realpath(backing_file)
    for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = entry.read_text(encoding="utf-8").strip().removesuffix(" (deleted)")
        except OSError:
            continue  # Detached between listing and reading.
        name = entry.parent.parent.name
        if backing == real or (real.endswith(backing) and _is_attached_to(name, real)):
            found.append(f"/dev/{name}")
    return sorted(found)


def _is_attached_to(name: str, path: str) -> bool:
    """Ask the device (LOOP_GET_STATUS64) for its file; False also when either cannot be asked."""
    info = bytearray(LOOP_INFO_BYTES)
    try:
        file = Path(path).stat()
        with _loop_node(name).open("rb") as device:
            fcntl.ioctl(device, LOOP_GET_STATUS64, info)
    except OSError:
        return False
    return struct.unpack_from("QQ", info) == (file.st_dev, file.st_ino)


def _loop_node(name: str) -> Path:
    """Return the device's node, made where it is missing: a new container has none of an older one's."""
    node = Path("/dev", name)
    if not node.exists():
        major, minor = Path(f"/sys/block/{name}/dev").read_text(encoding="ascii").split(":")
        os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(int(major), int(minor)))
    return node


def is_mounted(target: str) -> bool:
    """Say whether something is mounted exactly there, in this mount namespace."""
    return os.path.realpath(target) in _mount_targets()


def _mount_targets() -> list[str]:
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [line.split()[4].replace("\\040", " ") for line in mounts]


def _release_loop(backing_file: str) -> None:
    for device in loop_devices(backing_file):
        run(["losetup", "--detach", _loop_node(Path(device).name)])


def _release_mount(target: str) -> None:
    if is_mounted(target):
        run(["umount", target])


def _remove_directory(path: str) -> None:
    if not Path(path).exists():
        return
    inside = os.path.realpath(path) + "/"
    for target in _mount_targets():
        if target.startswith(inside):  # What is mounted there would be emptied too.
            raise BusyError(f"{path} is not removed: {target} is still mounted", hint="boardwright doctor --fix")
    shutil.rmtree(path)


RELEASERS: Mapping[ResourceKind, Releaser] = {
    "loop": _release_loop,
    "mount": _release_mount,
    "directory": _remove_directory,
}
"""How each kind of resource is given back; every function is at rest when the thing is already gone."""
