# SPDX-License-Identifier: MIT
"""Results of the rootfs stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DELIVERED = "/usr/lib/boardwright/delivered.json"
"""File of an image that records the rights and files of its packages (delivered.py writes it, specs read it)."""
RESOLVER = "../run/systemd/resolve/stub-resolv.conf"
"""Target of the link /etc/resolv.conf; systemd-resolved creates it at boot."""
HELD = "hold ok installed"
"""Status in dpkg of a package that upgrades must not change (apt-mark hold)."""
"""Filesystem types of fstab by the recipe's names."""
CLOUD_DISTRO = "/usr/lib/python3/dist-packages/cloudinit/distros/boardwright.py"
"""What the build adds to cloud-init."""
ACLS = ("system.posix_acl_access", "system.posix_acl_default")
"""Extended attributes that let more users in than a mode says (acl(5))."""
CAPABILITY = "security.capability"
"""The extended attribute that holds the capabilities of a file (capabilities(7))."""


@dataclass(frozen=True)
class InstalledPackage:
    """An installed package, with name, version, architecture and installed size from dpkg."""

    name: str
    version: str
    architecture: str
    size_kib: int


@dataclass(frozen=True)
class Rootfs:
    """A finished system, split into one tree per filesystem.

    `trees` has the tree of each slot by mount point. In the tree of "/" the other mount points are empty directories.
    Do not write to the trees: other boards may share their files.
    """

    trees: Mapping[str, Path]
    packages: tuple[InstalledPackage, ...]
