# SPDX-License-Identifier: MIT
"""Table of filesystems for partitions: one row for each. Each has a module or a folder in builder/filesystems/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builder.rows import RowEnum


@dataclass(frozen=True)
class FilesystemRow:
    """Properties of a filesystem."""

    linux: str
    """Name of its driver in Linux, as in fstab(5)."""
    mbr_type: str
    """Partition type in an MBR, as sfdisk takes it."""
    gpt_type: str
    """Partition type in a GPT."""
    programs: Mapping[str, str]
    """Debian packages of the programs that make and check it, by program."""
    checkers: tuple[str, ...]
    """Those of them that only check it; specs need no other."""
    label_letters: int
    """Most characters of a label."""
    minimum: str = ""
    """Smallest size; empty if any size of a recipe is enough."""
    minimum_reason: str = ""
    has_short_id: bool = False
    """True if its id is a number of 32 bits; a UUID otherwise."""
    keeps_owners: bool = True
    """False if it stores no owners and modes, so that it cannot be the root filesystem."""
    ignores_case: bool = False
    """True if two names that differ only in case are one."""


class Filesystem(RowEnum):
    """Filesystems that can be created without mounting them."""

    row: FilesystemRow

    FAT32 = (
        "fat32",
        FilesystemRow(
            linux="vfat",
            mbr_type="c",  # FAT32 with LBA.
            gpt_type="EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",  # Microsoft basic data.
            programs={"mformat": "mtools", "mcopy": "mtools", "mmd": "mtools", "fsck.vfat": "dosfstools"},
            checkers=("fsck.vfat",),
            label_letters=11,
            minimum="34MiB",
            minimum_reason="65525 clusters of 512 bytes",
            has_short_id=True,
            keeps_owners=False,
            ignores_case=True,
        ),
    )
    EXT4 = (
        "ext4",
        FilesystemRow(
            linux="ext4",
            mbr_type="83",
            gpt_type="0FC63DAF-8483-4772-8E79-3D69D8477DE4",  # Linux filesystem.
            programs=dict.fromkeys(("mke2fs", "e2fsck", "debugfs", "dumpe2fs"), "e2fsprogs"),
            checkers=("e2fsck",),
            label_letters=16,
        ),
    )


PROGRAMS = {program: package for item in Filesystem for program, package in item.row.programs.items()}
"""Debian package of each program that makes or checks a filesystem."""
CHECKERS = tuple(program for item in Filesystem for program in item.row.checkers)
