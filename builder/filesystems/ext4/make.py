# SPDX-License-Identifier: MIT
"""Create an ext4: mke2fs copies a tree into a new filesystem (-d), then debugfs corrects times taken from the clock.

The result depends only on the tree's content, the slot and the epoch. Features, inode ratio and journal come from
our own configuration, uuid and hash seed from the plan, and mke2fs sorts names. Hard links, owners, modes, devices
and extended attributes are kept. Modification times are kept up to the epoch. All other times are set to the epoch.
"""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.disk.region import Region
from builder.errors import ToolError, VerifyError
from builder.filesystems.ext4.inodes import BLOCK, Superblock, find_corrections, read_superblock
from builder.filesystems.target import Target
from builder.plan.model import Slot
from builder.system.process import Result, run
from builder.system.workspace import Workspace
from builder.units import MIB, SECTOR, align_up

MINIMUM_BYTES = 8 * MIB
"""With less than 2048 blocks mke2fs creates no journal."""
LARGE_FILE = MIB
"""From this size on, a file is read to find all-zero blocks: mke2fs does not store these."""
FLAT_LINK = 60
"""A symbolic link shorter than this is stored in its inode."""
INLINE_XATTRS = 84
"""Bytes of extended attributes that always fit into an inode of 256 bytes, without headers."""

CONFIGURATION = """\
# ext4 as readers of every age know it: no orphan_file and no metadata_csum_seed, which U-Boot and GRUB of 2022 refuse.
[defaults]
	base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
	default_mntopts = acl,user_xattr
	enable_periodic_fsck = 0
	blocksize = 4096
	inode_size = 256
	inode_ratio = 8192
	reserved_ratio = 1.0
[fs_types]
	ext4 = {
		features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
	}
	boardwright = {
		inode_ratio = 8192
	}
"""
"""Replaces /etc/mke2fs.conf, so that every machine creates the same filesystem.

One inode per 8 KiB: layers of Docker images have many small files. A card that is grown to 32 GB at first boot gets
4 million inodes for 3 % of its space. With mke2fs's default of 16 KiB, inodes run out before the space; 4 KiB would
cost 6 %.
"""


@dataclass(frozen=True)
class Ext4Content:
    """Blocks and inodes of a tree: at least as many as mke2fs will use."""

    blocks: int
    inodes: int
    workspace: Workspace

    def shortage_bytes(self, size_bytes: int, margin_bytes: int) -> int:
        """Return how many bytes the filesystem is too small; see model.Content."""
        if size_bytes < MINIMUM_BYTES:
            return MINIMUM_BYTES - size_bytes
        empty = _read_empty(size_bytes, self.workspace)
        blocks = self.blocks + -(-margin_bytes // BLOCK) - empty.usable_blocks
        inodes = self.inodes - empty.free_inodes
        return max(0, blocks * BLOCK, inodes * 8192)


def measure(tree: Path, workspace: Workspace) -> Ext4Content:
    """Return the blocks and inodes that a tree needs on an ext4."""
    inodes = 0
    blocks = _count_blocks(tree, tree.lstat())
    seen: set[tuple[int, int]] = set()
    for path, status in _walk(tree):
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
        inodes += 1
        blocks += _count_blocks(path, status)
    return Ext4Content(blocks, inodes, workspace)


def make(target: Target, slot: Slot, tree: Path, epoch: int, workspace: Workspace) -> None:
    """Create the filesystem of a slot and fill it with a tree."""
    seed = uuid.uuid5(uuid.UUID(slot.fs_id), "hash_seed")
    options = [
        f"hash_seed={seed}",
        "nodiscard",
        "lazy_itable_init=0",
        "lazy_journal_init=0",
        "root_owner=0:0",
        *([f"offset={target.offset_bytes}"] if target.offset_bytes else []),
    ]
    identity = ["-U", slot.fs_id, "-L", slot.label, "-E", ",".join(options), "-d", str(tree)]
    _mke2fs(target.path, target.size_bytes, identity, epoch, workspace)
    _correct(target, tree.lstat(), epoch)


def fsck(region: Region, size_bytes: int, copy: Path) -> Result:
    """Return the result of e2fsck, which reads a filesystem inside a file: it needs neither length nor copy."""
    return run(["e2fsck", "-f", "-n", region.for_e2fsprogs], ok=range(256))


def check(target: Target, slot: Slot) -> None:
    """Raise VerifyError unless the filesystem is intact and has the slot's uuid and label."""
    result = fsck(target, target.size_bytes, target.path)
    if result.code != 0:
        raise VerifyError(f"e2fsck finds slot {slot.name} damaged:\n{(result.stdout + result.stderr).strip()}")
    superblock = read_superblock(target)
    if (superblock.uuid, superblock.label) != (slot.fs_id.lower(), slot.label):
        raise VerifyError(
            f"slot {slot.name}: found uuid {superblock.uuid} and label {superblock.label!r};"
            f" expected {slot.fs_id.lower()} and {slot.label!r}"
        )


def _mke2fs(path: Path, size_bytes: int, arguments: list[str], epoch: int, workspace: Workspace) -> None:
    configuration = workspace.scratch / "mke2fs.conf"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    run(
        # -F: no question about the partition table in the same file.
        ["mke2fs", "-F", "-q", "-t", "ext4", "-T", "boardwright", *arguments, path, f"{size_bytes // 1024}k"],
        env=_times(epoch) | {"MKE2FS_CONFIG": str(configuration)},
        log_file=workspace.log_file,
    )


def _times(epoch: int) -> dict[str, str]:
    """Return the environment that sets the clock of e2fsprogs; SOURCE_DATE_EPOCH works from 1.47.1 on."""
    return {"E2FSPROGS_FAKE_TIME": str(epoch), "SOURCE_DATE_EPOCH": str(epoch)}


def _correct(target: Target, root: os.stat_result, epoch: int) -> None:
    """Correct times that mke2fs took from the clock or from access times, and set those of the root directory."""
    script = [
        f"set_inode_field <2> mode 0{root.st_mode:o}",
        f"set_inode_field <2> uid {root.st_uid}",
        f"set_inode_field <2> gid {root.st_gid}",
        f"set_inode_field <2> mtime @{min(int(root.st_mtime), epoch)}",
        *find_corrections(target, epoch, root_mtime=int(root.st_mtime)),
    ]
    commands = ("\n".join(script) + "\n").encode("ascii")
    result = run(["debugfs", "-w", "-f", "-", target.for_e2fsprogs], stdin=commands, env=_times(epoch))
    # debugfs can exit with 0 although a command failed, so everything is checked again.
    if left := find_corrections(target, epoch, root_mtime=int(root.st_mtime)):
        raise ToolError(f"debugfs did not execute {left[0]!r} and {len(left) - 1} more:\n{result.stderr.strip()}")


def _read_empty(size_bytes: int, workspace: Workspace) -> Superblock:
    """Return the superblock of an empty filesystem of that size, created to see what mke2fs leaves free."""
    path = workspace.scratch / "empty.ext4"
    try:
        path.touch()
        os.truncate(path, size_bytes)
        _mke2fs(path, size_bytes, ["-E", "nodiscard"], 0, workspace)
        return read_superblock(Target(path, 0, 0, size_bytes // SECTOR))
    finally:
        path.unlink(missing_ok=True)


def _walk(tree: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield all entries below a directory, without the directory itself."""
    with os.scandir(tree) as entries:
        for entry in entries:
            yield Path(entry.path), entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))


def _count_blocks(path: Path, status: os.stat_result) -> int:
    xattrs = 1 if _xattr_bytes(path) > INLINE_XATTRS else 0
    if stat.S_ISDIR(status.st_mode):
        return xattrs + _directory_blocks(path)
    if stat.S_ISLNK(status.st_mode):
        return xattrs + (1 if status.st_size >= FLAT_LINK else 0)
    if stat.S_ISREG(status.st_mode):
        return xattrs + _file_blocks(path, status.st_size)
    return xattrs


def _directory_blocks(path: Path) -> int:
    """Return the blocks of a directory, with its extent tree.

    An entry takes 8 bytes and its name, in units of 4. A block ends with 12 bytes of checksum. Entries do not cross
    blocks, so up to 264 bytes of a block stay empty. A directory grows by single blocks between the files' data, so
    each block may be an extent.
    """
    size = sum(8 + align_up(len(os.fsencode(name)), 4) for name in os.listdir(path)) + 24  # noqa: PTH208 - names only
    blocks = -(-size // (BLOCK - 12 - 264))
    return blocks + (0 if blocks <= 4 else 1 + blocks // 150)


def _file_blocks(path: Path, size_bytes: int) -> int:
    """Return the blocks of data and extent tree of a file. The inode has room for 4 extents, a block for 340."""
    if size_bytes < LARGE_FILE:
        return -(-size_bytes // BLOCK)
    blocks, runs = _count_stored(path)
    extents = runs + 3 * (blocks // 32768)  # An extent ends after 128 MiB, and at the metadata of a group.
    return blocks + (0 if extents < 4 else 1 + extents // 150)


def _count_stored(path: Path) -> tuple[int, int]:
    """Return the number of blocks of a file that are not all zero, and the number of their runs."""
    zero = bytes(BLOCK)
    blocks = runs = 0
    was_stored = False
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(MIB):
            for start in range(0, len(chunk), BLOCK):
                piece = chunk[start : start + BLOCK]
                is_stored = piece != zero[: len(piece)]
                blocks += is_stored
                runs += is_stored and not was_stored
                was_stored = is_stored
    return blocks, runs


def _xattr_bytes(path: Path) -> int:
    """Return the size of extended attributes: 16 bytes each, the name after its prefix, and the value."""
    return sum(
        16 + align_up(len(name.partition(".")[2]), 4) + align_up(len(os.getxattr(path, name, follow_symlinks=False)), 4)
        for name in os.listxattr(path, follow_symlinks=False)
    )
