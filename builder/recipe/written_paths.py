# SPDX-License-Identifier: MIT
"""Paths that the build itself writes or removes, so that an overlay tree must not have them."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from builder.system.paths import fold_name, merge_into_usr

EMPTIED = (
    # keys and ids that each board makes for itself
    "etc/ssh/ssh_host_*",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "boot/*/loader/random-seed",
    # of the package manager
    "var/lib/apt/lists/*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/cache/debconf/*-old",
    "var/lib/dpkg/*-old",
    "var/lib/apt/extended_states.bak",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    # the build machine's resolver, which systemd-resolved keeps when it is installed
    "etc/.resolv.conf.systemd-resolved.bak",
    # backups of /etc/passwd and its like, which hold the order of edits
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
    "etc/.pwd.lock",
    # caches with times inside
    "var/cache/ldconfig/aux-cache",
    "var/log/*.log",
    "var/log/apt/*",
    "tmp/*",
    "var/tmp/*",
    "run/*",
    "root/.cache",
)
"""Patterns of paths that are removed from each tree (rootfs/clean.py)."""

WRITTEN: Mapping[str, str] = {
    "etc/hostname": "`hostname` of board.yaml",
    "etc/hosts": "etc/cloud/templates/hosts.debian.tmpl, which cloud-init makes it from at each boot",
    "etc/fstab": "`table` of board.yaml, or customise.sh",
    "etc/resolv.conf": "etc/systemd/resolved.conf.d/NAME.conf",
    "etc/localtime": "`timezone` of board.yaml",
    "etc/timezone": "`timezone` of board.yaml",
    "etc/default/locale": "`locale` of board.yaml",
    "etc/locale.gen": "`locale` of board.yaml, or customise.sh",
    "etc/machine-id": "nothing: each board makes its own",
    "etc/os-release": "`title` of board.yaml",
    "etc/passwd": "`users` of board.yaml",
    "etc/group": "`users` of board.yaml",
    "etc/shadow": "`users` of board.yaml, and passwords in user-data",
    "etc/gshadow": "`users` of board.yaml",
    "etc/apt/sources.list": "`archives` of board.yaml",
    "etc/apt/sources.list.d/*": "`archives` of board.yaml",
    "etc/apt/preferences.d/boardwright": "`pin` of an archive in board.yaml",
    "etc/cloud/cloud.cfg.d/90_boardwright.cfg": "a file of another name beside it",
    "usr/lib/python3/dist-packages/cloudinit/distros/boardwright.py": "nothing: it is Boardwright's own",
    "usr/lib/clock-epoch": "nothing: it is the time of the build",
    "etc/ld.so.cache": "etc/ld.so.conf.d/NAME.conf",
    # data that the specs compare an image with
    "usr/lib/boardwright": "nothing: the build records the files of packages there",
    "var/lib/dpkg": "`packages` of board.yaml, or dpkg in customise.sh",
    "var/lib/apt": "`packages` of board.yaml, or apt in customise.sh",
}
"""Patterns of paths that the build writes after the overlays, and what to use instead."""


def find_owner(path: str) -> str:
    """Return what to use instead of an overlay's file at `path`, relative to the root; "" if the path is free."""
    path = merge_into_usr(f"/{path}").removeprefix("/")  # /lib is a link to /usr/lib.
    for pattern, instead in WRITTEN.items():
        if _fits(path, pattern):
            return instead
    is_emptied = any(_fits(path, pattern) for pattern in EMPTIED)
    return "nothing: the build removes it at its end" if is_emptied else ""


def _fits(path: str, pattern: str) -> bool:
    """Return whether a path or one of its directories fits; * matches within a name.

    Below /boot there may be a FAT, which ignores case.
    """
    parts, wanted = (fold_name(path) if path.startswith("boot/") else path).split("/"), pattern.split("/")
    return len(parts) >= len(wanted) and all(map(fnmatchcase, parts, wanted))
