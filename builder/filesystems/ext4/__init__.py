# SPDX-License-Identifier: MIT
"""ext4: read from the bytes of an image, made with e2fsprogs. An ext2 or ext3 is read, too."""

from builder.filesystems.ext4 import make, read, superblock
from builder.filesystems.model import FilesystemDriver

DRIVER = FilesystemDriver(
    detect=read.is_ext4,
    read_facts=superblock.read_facts,
    read_entries=read.read_entries,
    read_file=read.read_ext4_file,
    find_free=read.find_free,
    fsck=make.fsck,
    measure=make.measure,
    make=make.make,
    check=make.check,
)
