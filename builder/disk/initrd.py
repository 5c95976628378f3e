# SPDX-License-Identifier: MIT
"""Read the members of an initrd: one cpio archive after another, each plain or compressed (Linux,
Documentation/driver-api/early-userspace/buffer-format.rst).

It is not unpacked by cpio, which needs root for device nodes, and does not report where an archive ends.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

from builder.disk.initrd_parts import unpack_part
from builder.errors import VerifyError
from builder.units import MIB

NEWC = b"070701"
"""The one kind that initramfs-tools and dracut write; older kernels know no other."""
HEADER = 110
END = "TRAILER!!!"
LARGEST = 512 * MIB
"""Unpacked, all parts together; the largest of Debian's, with all firmware, is a third of it."""
MOST_MEMBERS = 200_000
MOST_PARTS = 100
LONGEST_PATH = 4096
NOT_ZERO = re.compile(b"[^\\0]")
HEX = re.compile(rb"[0-9A-Fa-f]{104}")
KIND, REGULAR, LINK = 0o170000, 0o100000, 0o120000


@dataclass(frozen=True)
class Member:
    """A file of an initrd."""

    path: str
    mode: int
    """With the bits of its kind, as in stat(2)."""
    view: memoryview
    """Its content in the unpacked initrd; copies of all members would take the same memory again."""

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return bytes(self.view)


Initrd = Mapping[str, Member]
"""Members by path, "usr/bin/busybox"; of two of one name the kernel keeps the later."""


def read_initrd(data: bytes) -> Initrd:
    """Return the members of an initrd; VerifyError where it is damaged, neither cpio nor compressed in a known way, or
    more than LARGEST unpacked."""
    members: dict[str, Member] = {}
    for count, member in enumerate(_members(data)):
        if count == MOST_MEMBERS:
            raise VerifyError(f"the initrd has more than {MOST_MEMBERS} members")
        members[member.path] = member
    return members


def _members(data: bytes) -> Iterator[Member]:
    """Yield the members of all archives. Linux continues after each, plain or compressed (init/initramfs.c)."""
    position, parts, room = 0, 0, LARGEST
    while (position := (yield from _archives(data, position))) < len(data):
        parts += 1
        if parts > MOST_PARTS:
            raise VerifyError(f"the initrd has more than {MOST_PARTS} compressed parts")
        content, position = unpack_part(data, position, room)
        if content is None:
            raise VerifyError(f"the initrd is more than {LARGEST} bytes unpacked, which is the most that is read")
        room -= len(content)
        end = yield from _archives(content, 0)
        if end < len(content):
            head = content[end : end + 6].hex()
            raise VerifyError(f"a compressed part of the initrd has {head}, which is not a cpio archive")


def _archives(data: bytes, position: int) -> Generator[Member, None, int]:
    """Yield the members of the archives from `position` on, and return where they end."""
    # Archives are padded with zeros. Linux takes one for an archive only where a header can be.
    while (position := _skip_zeros(data, position)) < len(data) and data.startswith(NEWC, position):
        if position % 4:
            raise VerifyError(f"the initrd is damaged: the archive at byte {position} begins at no multiple of 4")
        for member, end in _archive(data, position):
            position = end
            if member:
                yield member
    return position


def _skip_zeros(data: bytes, position: int) -> int:
    match = NOT_ZERO.search(data, position)
    return match.start() if match else len(data)


def _archive(data: bytes, position: int) -> Iterator[tuple[Member | None, int]]:
    """Yield each member of the archive at `position` and where the next begins; None is its end."""
    view = memoryview(data)
    while True:
        if data[position : position + 6] != NEWC:
            raise VerifyError(f"the initrd is damaged: no cpio header at byte {position}")
        fields = _read_fields(data, position)
        mode, size, name_size = fields[1], fields[6], fields[11]
        start = position + HEADER
        name = _read_name(data, start, name_size)
        content = _align(start + name_size)
        position = _align(content + size)
        if position > len(data) + 3:
            raise VerifyError(f"the initrd is damaged: it ends within {name[:80]!r}")
        if name == END:
            yield None, position
            return
        if size and mode & KIND not in (REGULAR, LINK):
            raise VerifyError(f"the initrd is damaged: {name[:80]!r} has content and can have none")
        yield Member(_normalise(name), mode, view[content : content + size]), position


def _read_name(data: bytes, start: int, size: int) -> str:
    """Return a name; VerifyError for one that Linux would end earlier or pass over."""
    name = data[start : start + max(0, size - 1)]
    if not 1 <= size <= LONGEST_PATH:
        raise VerifyError(f"the initrd is damaged: the name at byte {start} has {size} bytes")
    if b"\0" in name or data[start + size - 1 : start + size] != b"\0":
        raise VerifyError(f"the initrd is damaged: the name at byte {start} has a zero within, or none at its end")
    return name.decode(errors="surrogateescape")


def _normalise(name: str) -> str:
    """Return the path that a name means; VerifyError for one that leads up."""
    steps = [step for step in name.split("/") if step not in ("", ".")]
    if ".." in steps:
        raise VerifyError(f"the initrd has the name {name[:80]!r}; allowed: one without ..")
    return "/".join(steps) or "."


def _read_fields(data: bytes, position: int) -> list[int]:
    digits = data[position + 6 : position + HEADER]
    if not HEX.fullmatch(digits):
        raise VerifyError(f"the initrd is damaged: the cpio header at byte {position} holds {digits[:16]!r}…")
    return [int(digits[8 * n : 8 * n + 8], 16) for n in range(13)]


def _align(position: int) -> int:
    return (position + 3) & ~3
