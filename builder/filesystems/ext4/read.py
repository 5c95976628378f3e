# SPDX-License-Identifier: MIT
"""Read the entries of an ext4 without a mount, a loop device, root, or unpacking.

They are read from the bytes of the image, as the kernel documents them (Documentation/filesystems/ext4). An image may
come from anywhere, and the output of a program for a name with a line break looks like two names. Each number is
compared with the filesystem before it is used. Nothing outside of it is read, a directory is read once, and budgets
limit what a crafted filesystem makes of few bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property

from builder.disk.entry import Entry, Kind, Piece
from builder.disk.region import Region
from builder.disk.walk import LARGEST_DIRECTORY, MOST_READ, MOST_TEXT, Budget, Walk, damaged
from builder.errors import VerifyError
from builder.filesystems.ext4.blocks import walk_extents, walk_map
from builder.filesystems.ext4.superblock import MAGIC, read_sizes
from builder.system.process import run
from builder.units import KIB, MIB

ROOT = 2
"""Inode of the root directory."""
XATTRS = 0xEA020000
INODE_HAS_EXTENTS = 0x80000
FLAT_LINK = 60
"""A symbolic link shorter than this lies in its inode."""

READ_S = 60.0
"""For dumpe2fs, which takes a second for a card of 64 GiB."""
MOST_RUNS = 1_000_000
MOST_NODES = 256 * MIB
"""Bytes of the blocks that say where content lies; they are enough for 64 GiB in blocks of 1 KiB."""
LARGEST_LINK = 4 * KIB - 1
"""Bytes; with the zero at its end Linux takes 4096."""

KINDS: Mapping[int, Kind] = {
    0x8: "file",
    0x4: "directory",
    0xA: "symlink",
    0x2: "device",
    0x6: "device",
    0x1: "pipe",
    0xC: "socket",
}
PREFIXES = {
    1: "user.",
    2: "system.posix_acl_access",
    3: "system.posix_acl_default",
    4: "trusted.",
    6: "security.",
    7: "system.",
}


def is_ext4(region: Region) -> bool:
    """Say whether there is an ext2, ext3 or ext4."""
    return region.read(1080, 2) == MAGIC


def read_ext4(region: Region) -> list[Entry]:
    """Return everything in the filesystem, the root directory first as "/"; VerifyError for a damaged one."""
    try:
        return list(_Ext4(region).walk())
    except struct.error as error:  # A structure that ends with its block.
        raise _damaged(str(error)) from None


def read_entries(region: Region, mount: str) -> list[Entry]:
    """Return everything in the filesystem by its path below `mount`; VerifyError for a damaged one."""
    top = mount.rstrip("/")
    entries = read_ext4(region)
    return [replace(entry, path=(top + entry.path).rstrip("/")) for entry in entries] if top else entries


def find_free(region: Region) -> Iterator[tuple[int, int]]:
    """Yield start and end, in bytes of the filesystem, of its free blocks."""
    report = run(["dumpe2fs", region.for_e2fsprogs], timeout_s=READ_S).stdout
    size = re.search(r"^Block size: +(\d+)", report, re.MULTILINE)
    block = int(size[1]) if size else 0
    for line in re.findall(r"^  Free blocks: (.+)$", report, re.MULTILINE):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", line):
            yield int(first) * block, (int(last or first) + 1) * block


def read_ext4_file(region: Region, path: str, limit: int) -> tuple[bytes, int] | None:
    """Return the first bytes of a file and its time of modification; None where no regular file is.

    path  from the root, without links on the way
    """
    try:
        return _Ext4(region).read_file(path, limit)
    except struct.error as error:
        raise _damaged(str(error)) from None


class _Ext4:
    """An open ext4."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._runs = Budget("ext4", "pieces of files", MOST_RUNS)
        self._nodes = Budget("ext4", "bytes that say where its files lie", MOST_NODES)
        self._text = Budget("ext4", "bytes of links and extended attributes", MOST_TEXT)
        self._content = Budget("ext4", "bytes that are read of its files", MOST_READ)
        self._stream = region.path.open("rb", buffering=0)
        self._image_bytes = self._stream.seek(0, 2)
        self._sizes = read_sizes(region.read(1024, 1024), self._image_bytes - region.offset_bytes)
        self._inodes: dict[int, Entry] = {}

    def __del__(self) -> None:
        with suppress(AttributeError):  # There was no image to open.
            self._stream.close()

    def walk(self) -> Iterator[Entry]:
        """Yield every entry, each directory before what is in it."""
        root = replace(self._inode(ROOT), path="/")
        if root.kind != "directory":
            raise _damaged("its root is not a directory")
        yield root
        walk = Walk("ext4", self._list, lambda entry: entry.inode if entry.kind == "directory" else None)
        for path, entry in walk.below("/", root):
            yield replace(entry, path=path)

    def read_file(self, path: str, limit: int) -> tuple[bytes, int] | None:
        """Return the start of a file and its mtime."""
        here = self._inode(ROOT)
        for name in path.strip("/").split("/"):
            inodes = self._list_inodes(path, here) if here.kind == "directory" else ()
            number = next((inode for entry_name, inode in inodes if entry_name == name), None)
            if number is None:
                return None
            here = self._inode(number)
        return (here.read(limit), here.mtime) if here.kind == "file" else None

    def _read(self, offset: int, size: int) -> bytes:
        """Return bytes of the filesystem; VerifyError where they are not all in it."""
        if offset < 0 or offset + size > self._sizes.end_bytes:
            raise _damaged(f"bytes {offset} to {offset + size} are not in it")
        self._stream.seek(self._region.offset_bytes + offset)
        return self._stream.read(size) or b""

    @cached_property
    def _descriptors(self) -> bytes:
        groups = -(-self._sizes.inodes // self._sizes.inodes_per_group)
        return self._read((self._sizes.first_block + 1) * self._sizes.block, groups * self._sizes.descriptor)

    def _inode(self, number: int) -> Entry:
        """Return the entry of an inode, without a path."""
        if number not in self._inodes:
            self._inodes[number] = self._parse(number)
        return self._inodes[number]

    def _parse(self, number: int) -> Entry:
        sizes = self._sizes
        if not 1 <= number <= sizes.inodes:
            raise _damaged(f"there is no inode {number}")
        group, index = divmod(number - 1, sizes.inodes_per_group)
        at = group * sizes.descriptor
        table = struct.unpack_from("<I", self._descriptors, at + 8)[0]
        table += struct.unpack_from("<I", self._descriptors, at + 40)[0] << 32 if sizes.descriptor == 64 else 0
        raw = self._read(table * sizes.block + index * sizes.inode, sizes.inode)
        mode, uid = struct.unpack_from("<HH", raw, 0)
        kind = KINDS.get(mode >> 12)
        if kind is None:
            raise _damaged(f"the inode {number} is of no kind (mode 0{mode:o})")
        gid, size_low = struct.unpack_from("<H", raw, 24)[0], struct.unpack_from("<I", raw, 4)[0]
        flags, size_high = struct.unpack_from("<I", raw, 32)[0], struct.unpack_from("<I", raw, 108)[0]
        uid_high, gid_high = struct.unpack_from("<HH", raw, 120)
        size = size_low + (size_high << 32)
        extra = struct.unpack_from("<H", raw, 128)[0] if sizes.inode > 128 else 0
        # The lowest two bits of the second number go on where 32 bits end, in 2106.
        high = struct.unpack_from("<I", raw, 136)[0] & 3 if extra >= 12 else 0
        is_flat = kind == "symlink" and size < FLAT_LINK and not flags & INODE_HAS_EXTENTS
        has_blocks = kind in ("file", "directory") or (kind == "symlink" and not is_flat)
        entry = Entry(
            path="",
            kind=kind,
            mode=mode & 0o7777,
            uid=uid + (uid_high << 16),
            gid=gid + (gid_high << 16),
            size_bytes=size,
            mtime=struct.unpack_from("<I", raw, 16)[0] + (high << 32),
            inode=number,
            xattrs=dict(self._read_xattrs(raw, extra)),
            pieces=tuple(self._find_pieces(raw[40:100], number, size, flags)) if has_blocks and size else (),
            budget=self._content,
        )
        if kind == "symlink":
            return replace(entry, target=self._read_link(entry, raw[40 : 40 + size] if is_flat else None))
        return entry

    def _read_link(self, entry: Entry, flat: bytes | None) -> str:
        if not 1 <= entry.size_bytes <= LARGEST_LINK:
            raise _damaged(f"the link {entry.inode} has {entry.size_bytes} bytes")
        if flat is None:
            self._text.use(entry.size_bytes)
        content = entry.read() if flat is None else flat
        if 0 in content:  # Linux would end there.
            raise _damaged(f"the link {entry.inode} has a zero within")
        return content.decode(errors="surrogateescape")

    def _find_pieces(self, root: bytes, number: int, size: int, flags: int) -> Iterator[Piece]:
        """Yield the pieces of content. Runs follow each other, so a second reference to a run is refused."""
        block = self._sizes.block
        if flags & INODE_HAS_EXTENTS:
            runs = walk_extents(root, self._read_node)
        else:
            runs = walk_map(root, self._read_node, block, -(-size // block))
        next_block = 0
        for first, blocks, disk in runs:
            if first < next_block or (disk + blocks) * block > self._sizes.end_bytes:
                raise _damaged(f"the blocks of the inode {number} overlap, or are not in it")
            next_block = first + blocks
            self._runs.use(1)
            if disk:
                yield Piece(first * block, blocks * block, self._region.path, self._region.offset_bytes + disk * block)

    def _read_node(self, number: int) -> bytes:
        """Return a block of a tree or a map. One of them can lead to another a thousand times, with nothing below."""
        self._nodes.use(self._sizes.block)
        return self._read(number * self._sizes.block, self._sizes.block)

    def _list(self, path: str, directory: Entry) -> Iterator[tuple[str, Entry]]:
        """Yield the names of a directory with their entries."""
        for name, inode in self._list_inodes(path, directory):
            yield name, self._inode(inode)

    def _list_inodes(self, path: str, directory: Entry) -> Iterator[tuple[str, int]]:
        if directory.size_bytes > LARGEST_DIRECTORY or directory.size_bytes % self._sizes.block:
            raise _damaged(f"the directory {path} has {directory.size_bytes} bytes")
        content = directory.read()
        for start in range(0, len(content), self._sizes.block):
            for name, inode in _read_names(content[start : start + self._sizes.block], path):
                if name not in (b".", b".."):
                    yield name.decode(errors="surrogateescape"), inode

    def _read_xattrs(self, raw: bytes, extra: int) -> Iterator[tuple[str, bytes]]:
        start = 128 + extra
        if start + 4 < len(raw) and struct.unpack_from("<I", raw, start)[0] == XATTRS:
            yield from self._parse_xattrs(raw[start + 4 :], 0)
        block = struct.unpack_from("<I", raw, 104)[0] + (struct.unpack_from("<H", raw, 118)[0] << 32)
        if block:
            content = self._read(block * self._sizes.block, self._sizes.block)
            if struct.unpack_from("<I", content, 0)[0] != XATTRS:
                raise _damaged("a block of extended attributes is invalid")
            yield from self._parse_xattrs(content, 32)

    def _parse_xattrs(self, content: bytes, position: int) -> Iterator[tuple[str, bytes]]:
        while position + 16 <= len(content) and content[position : position + 4] != bytes(4):
            length, prefix, offset, inode, size = struct.unpack_from("<BBHII", content, position)
            written = content[position + 16 : position + 16 + length].decode(errors="replace")
            name = PREFIXES.get(prefix, f"{prefix}.") + written
            if inode or offset + size > len(content):
                raise _damaged(f"the extended attribute {name!r} is not in its block")
            self._text.use(len(name) + size)  # A thousand names can have the same bytes for their value.
            yield name, content[offset : offset + size]
            position += 16 + (length + 3) // 4 * 4


def _read_names(block: bytes, path: str) -> Iterator[tuple[bytes, int]]:
    position = 0
    while position < len(block):
        inode, length, name_length = struct.unpack_from("<IHB", block, position)
        length = length or len(block)  # As 64 KiB are written, which 16 bits cannot say.
        if length < 12 or length % 4 or position + length > len(block) or name_length > length - 8:
            raise _damaged(f"the directory {path} has an entry of {length} bytes at byte {position} of a block")
        if inode:
            yield block[position + 8 : position + 8 + name_length], inode
        position += length


def _damaged(what: str) -> VerifyError:
    return damaged("ext4", what)
