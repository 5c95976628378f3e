# SPDX-License-Identifier: MIT
"""What is in an ext4, as debugfs tells it: no mount, no loop device, no root, nothing unpacked.

debugfs is asked twice or so: level by level for the directories, then once for all inodes. Their extents say where
in the image each file lies (28,000 files of the board `rpi`: 2 s; unpacking them took 4 s and 1.2 GB).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile

from builder.errors import VerifyError
from builder.run import run
from builder.verify.entry import Entry, Kind, Piece

ROOT = 2
"""Inode of the root directory."""
MAGIC = b"\x53\xef"
"""At byte 1080 of every ext filesystem."""
BLOCK_SIZE_AT = 1048
"""Where the superblock has the logarithm of the block size, less 10."""

KINDS: dict[str, Kind] = {
    "regular": "file",
    "directory": "directory",
    "symlink": "symlink",
    "character": "device",
    "block": "device",
    "FIFO": "pipe",
    "socket": "socket",
}

_HEAD = re.compile(r"Inode: (\d+) +Type: (\w+)[\w ]*? +Mode: +(\d+)")
_OWNER = re.compile(r"^User: +(\d+) +Group: +(\d+).*?Size: (\d+)", re.MULTILINE)
_MTIME = re.compile(r"^ ?mtime: 0x([0-9a-f]+)(?::([0-9a-f]+))?", re.MULTILINE)
_LINK = re.compile(r'^Fast link dest: "(.*)"', re.MULTILINE)
_XATTR = re.compile(r"^  ([a-z]+\.[\w.-]+) \((\d+)\)(?: = (.*))?$", re.MULTILINE)
_RANGE = re.compile(r"\((\d+)(?:-\d+)?\):(\d+)(?:-(\d+))?")
"""(first-last block of the file):first-last block of the disk. Those marked [u] are not written yet and read as zero;
(ETB0) and (IND) are the filesystem's own."""


@dataclass(frozen=True)
class Place:
    """A filesystem inside an image file."""

    image: Path
    offset_bytes: int

    @property
    def for_debugfs(self) -> str:
        """The name that debugfs and e2fsck open (libext2fs: options of the io manager follow a `?`)."""
        return f"{self.image}?offset={self.offset_bytes}"

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the filesystem."""
        with self.image.open("rb") as stream:
            stream.seek(self.offset_bytes + offset)
            return stream.read(size)


def is_ext4(place: Place) -> bool:
    """Say whether there is an ext2, ext3 or ext4."""
    return place.read(1080, 2) == MAGIC


def read_ext4(place: Place) -> list[Entry]:
    """Return everything in the filesystem, the root directory first as "/"."""
    names = {"/": ROOT}
    level = {ROOT: "/"}
    while level:
        below: dict[int, str] = {}
        for directory, inode, name, is_directory in _list(place, list(level)):
            path = f"{level[directory].rstrip('/')}/{name}"
            names[path] = inode
            if is_directory:
                below[inode] = path
        level = below
    inodes = {entry.inode: entry for entry in _stat(place, sorted(set(names.values())))}
    if lost := [path for path, inode in names.items() if inode not in inodes]:
        raise ValueError(f"debugfs lists {lost[0]}, but does not know its inode")
    return [replace(inodes[inode], path=path) for path, inode in names.items()]


def unpack(place: Place, directory: Path) -> None:
    """Copy everything out into an empty directory, as root with owners and modes; VerifyError when nothing comes."""
    # What fails on the way does not show in the exit code.
    said = run(["debugfs", "-R", f'rdump / "{directory}"', place.for_debugfs], ok=(0, 1)).stderr
    if not any(directory.iterdir()):
        raise VerifyError(f"the root filesystem cannot be unpacked: {said.strip()}")


def _list(place: Place, directories: list[int]) -> Iterator[tuple[int, int, str, bool]]:
    """Yield (directory, inode, name, whether it is a directory); each listing starts with its own `.`."""
    here = 0
    for line in _ask(place, [f"ls -p <{inode}>" for inode in directories]).splitlines():
        fields = line.split("/")  # /inode/mode/uid/gid/name/size/
        if len(fields) < 7 or not fields[1].isdigit():
            continue
        inode, mode, name = int(fields[1]), fields[2], fields[5]
        if name == ".":
            here = inode
        elif name != ".." and inode:
            yield here, inode, name, mode.startswith("04")


def _stat(place: Place, inodes: list[int]) -> Iterator[Entry]:
    block = 1024 << int.from_bytes(place.read(BLOCK_SIZE_AT, 4), "little")
    for text in re.split(r"^(?=Inode: )", _ask(place, [f"stat <{inode}>" for inode in inodes]), flags=re.MULTILINE):
        if head := _HEAD.match(text):
            yield _parse(text, head, place, block)


def _parse(text: str, head: re.Match[str], place: Place, block: int) -> Entry:
    owner, mtime, link = _OWNER.search(text), _MTIME.search(text), _LINK.search(text)
    if not owner or not mtime:
        raise ValueError(f"debugfs says of an inode: {text!r}")
    facts, _, ranges = text.partition("EXTENTS:\n")
    ranges = ranges or facts.partition("BLOCKS:\n")[2]
    entry = Entry(
        path="",
        kind=KINDS.get(head[2], "device"),
        mode=int(head[3], 8),
        uid=int(owner[1]),
        gid=int(owner[2]),
        size_bytes=int(owner[3]),
        # The lowest two bits of the second number go on where 32 bits end, in 2106.
        mtime=int(mtime[1], 16) + ((int(mtime[2] or "0", 16) & 3) << 32),
        inode=int(head[1]),
        target=link[1] if link else "",
        xattrs={name: bytes.fromhex(value or "") if _is_hex(value) else b"" for name, _, value in _XATTR.findall(text)},
        pieces=tuple(_pieces(ranges, place, block)),
    )
    if entry.kind == "symlink" and not link:  # Longer than 59 bytes: its target is its content.
        return replace(entry, target=entry.read().decode(errors="surrogateescape"))
    return entry


def _is_hex(value: str) -> bool:
    return re.fullmatch(r"([0-9a-f]{2} ?)+", value) is not None


def _pieces(ranges: str, place: Place, block: int) -> Iterator[Piece]:
    for first, disk, last in _RANGE.findall(ranges):
        blocks = int(last or disk) - int(disk) + 1
        yield Piece(int(first) * block, blocks * block, place.image, place.offset_bytes + int(disk) * block)


def _ask(place: Place, commands: list[str]) -> str:
    """Return what debugfs answers to all commands, whatever bytes names are made of."""
    with TemporaryFile() as answer:
        run(["debugfs", "-f", "-", place.for_debugfs], stdin="\n".join([*commands, ""]).encode(), stdout=answer)
        answer.seek(0)
        return answer.read().decode(errors="surrogateescape")
