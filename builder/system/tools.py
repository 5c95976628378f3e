# SPDX-License-Identifier: MIT
"""External programs: their paths on this machine and their Debian packages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder import compression, filesystem
from builder.architecture import QEMU_PACKAGES
from builder.errors import MachineError

DEBIAN_PACKAGES = {
    "sfdisk": "fdisk",
    **filesystem.PROGRAMS,
    "losetup": "mount",
    "mount": "mount",
    "umount": "mount",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "chroot": "coreutils",
    "mmdebstrap": "mmdebstrap",
    **compression.PROGRAMS,
    "zip": "zip",
    "gpg": "gpg",
    "dpkg-deb": "dpkg",
    "git": "git",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    **QEMU_PACKAGES,
}
"""Debian package of each external program; `doctor` checks these."""


def find_tool(name: str) -> str:
    """Return the path of a program; MachineError with its Debian package if it is missing."""
    path = shutil.which(name, path=search_path())
    if path is None:
        package = DEBIAN_PACKAGES.get(Path(name).name, Path(name).name)
        raise MachineError(f"the program {name} is not on this machine", hint=f"apt-get install {package}")
    return path


def has_tool(name: str) -> bool:
    """Return whether a program is on this machine."""
    return shutil.which(name, path=search_path()) is not None


def search_path() -> str:
    """Return PATH with the directories of mke2fs and sfdisk, which Debian omits for ordinary users."""
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
