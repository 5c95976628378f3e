# SPDX-License-Identifier: MIT
"""A small image with all that a package is made from, and nothing else: a FAT, an ext4, dpkg's database."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from builder.units import MIB, SECTOR

BOARD = "rpi"
VERSION = "1.0"
EPOCH = 1_790_000_000
RELEASE = f'ID=debian\nIMAGE_VERSION={VERSION}\nBOARDWRIGHT_BOARD={BOARD}\nBOARDWRIGHT_DEVICE="x"\n'
STATUS = """\
Package: base-files
Status: install ok installed
Section: admin
Installed-Size: 346
Maintainer: Santiago Vila <sanvila@debian.org>
Architecture: arm64
Version: 13.8
Depends: libc6 (>= 2.38), awk

Package: libc6
Status: install ok installed
Section: libs
Installed-Size: 22842
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: arm64
Multi-Arch: same
Source: glibc (2.41-11)
Version: 2.41-12
Depends: libgcc-s1
Homepage: https://www.gnu.org/software/libc/libc.html

Package: mawk
Status: install ok installed
Section: utils
Installed-Size: 282
Maintainer: Debian QA <packages@qa.debian.org>
Architecture: arm64
Version: 1.3.4.20250131-1+b1
Provides: awk
Depends: libc6 (>= 2.38)
Homepage: <https://invisible-island.net/mawk/>

Package: gone
Status: deinstall ok config-files
Installed-Size: 9
Architecture: all
Version: 1

"""
MAWK = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 1996 Mike Brennan
License: GPL-2
 The text.

Files: debian/*
Copyright: 2020 Somebody
License: GPL-2+
 The text.
"""
PACKAGES = (
    "name\tversion\tarchitecture\tinstalled size in KiB\n"
    "base-files\t13.8\tarm64\t346\nlibc6\t2.41-12\tarm64\t22842\nmawk\t1.3.4.20250131-1+b1\tarm64\t282\n"
)


def make_small_image(
    work: Path, name: str = "card.img", *, fat_mib: int = 34, root_mib: int = 12, noise_mib: int = 3
) -> Path:
    """Return an image of 48 MiB, most of it free.

    fat_mib, root_mib  sizes of the two filesystems; 34 MiB is the least that a FAT32 may have, without a FAT it is 0
    noise_mib          of a file that cannot be compressed
    """
    path, tree = work / name, work / "tree"
    release = work / "os-release"
    release.write_text(RELEASE)
    for inside, text in {
        "etc/os-release": RELEASE,
        "var/lib/dpkg/status": STATUS,
        "usr/share/doc/mawk/copyright": MAWK,
        "usr/share/doc/libc6/copyright": "Free.\n",
        "usr/lib/clock-epoch": "",
    }.items():
        (tree / inside).parent.mkdir(parents=True, exist_ok=True)
        (tree / inside).write_text(text)
        os.utime(tree / inside, (EPOCH, EPOCH))
    (tree / "usr/share/doc/base-files").symlink_to("mawk")
    (tree / "noise").write_bytes(os.urandom(noise_mib * MIB))
    with path.open("wb") as stream:
        stream.truncate((1 + fat_mib + root_mib + 1) * MIB)
    root = (1 + fat_mib) * MIB
    table = "label: dos\nlabel-id: 0x12345678\n"
    if fat_mib:
        table += f"start=2048, size={fat_mib * MIB // SECTOR}, type=c\n"
    table += f"start={root // SECTOR}, type=83\n"
    subprocess.run(["sfdisk", "-q", path], input=table.encode(), check=True)
    if fat_mib:
        sectors = str(fat_mib * MIB // SECTOR)
        subprocess.run(["mformat", "-i", f"{path}@@{MIB}", "-F", "-c", "1", "-T", sectors, "::"], check=True)
        subprocess.run(["mcopy", "-i", f"{path}@@{MIB}", release, "::os-release"], check=True)
    mke2fs = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024"]
    subprocess.run([*mke2fs, "-E", f"offset={root}", "-d", tree, path, f"{root_mib}M"], check=True)
    return path
