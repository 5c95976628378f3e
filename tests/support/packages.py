# SPDX-License-Identifier: MIT
"""Debian packages that tests need. As a program, which needs nothing but Python: print those that are missing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection

PACKAGES = {
    "machine": (
        *(
            "mmdebstrap",
            "e2fsprogs",
            "dosfstools",
            "mtools",
            "fdisk",
            "mount",
            "zstd",
            "xz-utils",
            "pigz",
            "zip",
            "gpg",
        ),
        *("bmap-tools", "gnupg", "minisign", "dropbear-bin", "openssh-client"),
        *("gcc", "libc6-dev", "gdisk", "parted", "qemu-user-static", "arch-test", "libcap2-bin", "attr", "cpio"),
    ),
    "engine": ("mmdebstrap",),
    "boot": ("qemu-system-x86", "qemu-system-arm", "qemu-utils", "ovmf", "qemu-efi-aarch64", "openssh-client"),
    "node": ("nodejs", "npm", "rsync", "shellcheck"),
    "ci": ("nodejs", "npm", "rsync", "shellcheck"),
}
"""Debian packages by mark."""


def find_missing(packages: Collection[str]) -> list[str]:
    """Return the packages that are not installed, but those whose program came here another way.

    Node.js and npm do, and Debian's npm does not go together with that.
    """
    argv = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *packages]
    rows = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()
    present = {row.split()[0] for row in rows if row.endswith(" installed")}
    return sorted(name for name in packages if name not in present and not shutil.which(name))


if __name__ == "__main__":
    print(*find_missing({name for names in PACKAGES.values() for name in names}))  # noqa: T201 - its result
