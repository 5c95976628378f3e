# SPDX-License-Identifier: MIT
"""What the rootfs stage hands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.recipe.model import Filesystem

DELIVERED = "/usr/lib/boardwright/delivered.json"
"""Where an image has the rights that its packages have brought (delivered.py writes it, specs read it)."""
RESOLVER = "../run/systemd/resolve/stub-resolv.conf"
"""What /etc/resolv.conf is a link to: systemd-resolved makes it at boot."""
HELD = "hold ok installed"
"""What dpkg says of a package that upgrades leave alone (apt-mark hold)."""
FSTAB_TYPES = {Filesystem.FAT32: "vfat", Filesystem.EXT4: "ext4"}
"""What fstab calls the filesystems of a recipe."""
CLOUD_DISTRO = "/usr/lib/python3/dist-packages/cloudinit/distros/boardwright.py"
"""What the build adds to cloud-init."""
ACLS = ("system.posix_acl_access", "system.posix_acl_default")
"""Extended attributes that let more users in than a mode says (acl(5))."""
CAPABILITY = "security.capability"
"""The extended attribute that holds the capabilities of a file (capabilities(7))."""


@dataclass(frozen=True)
class Package:
    """An installed package: name, version, architecture and installed size, as dpkg knows them."""

    name: str
    version: str
    architecture: str
    size_kib: int


@dataclass(frozen=True)
class Rootfs:
    """A finished system, split into one tree per filesystem.

    `trees` has the content of each slot by mount point. In the tree of "/" the other mount points are empty
    directories. They are to be read only: what is in them may belong to other boards too.
    """

    trees: Mapping[str, Path]
    packages: tuple[Package, ...]
