# SPDX-License-Identifier: MIT
"""FAT32: read from the bytes of an image, made with mtools."""

from builder.filesystems.fat32 import boot_sector, make, read
from builder.filesystems.model import FilesystemDriver

DRIVER = FilesystemDriver(
    detect=read.is_fat32,
    read_facts=boot_sector.read_facts,
    read_entries=read.read_fat,
    read_file=read.read_fat_file,
    find_free=read.find_free,
    fsck=make.fsck,
    measure=make.measure,
    make=make.make,
    check=make.check,
)
