# SPDX-License-Identifier: MIT
"""What is in an initrd: one cpio archive after another, each plain or compressed (Linux,
Documentation/driver-api/early-userspace/buffer-format.rst).

Read here and not unpacked by cpio: that needs root for device nodes, and cannot tell where an archive ends.
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any

from builder.errors import VerifyError
from builder.run import piped
from builder.units import MIB

NEWC = (b"070701", b"070702")
HEADER = 110
END = "TRAILER!!!"
ZSTD = b"\x28\xb5\x2f\xfd"
LARGEST = 512 * MIB
"""Unpacked, all layers together; the largest of Debian's, with all firmware, is a third of it."""
MOST_MEMBERS = 200_000
MOST_LAYERS = 3
MOST_STREAMS = 10_000
LONGEST_PATH = 4096
PIECE = 256 * 1024
NOT_ZERO = re.compile(b"[^\\0]")
HEX = re.compile(rb"[0-9A-Fa-f]{104}")
XZ_MEMORY = 256 * MIB
UNPACKERS: Mapping[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY),
    b"BZh": bz2.BZ2Decompressor,
}


@dataclass(frozen=True)
class Member:
    """A file of an initrd."""

    path: str
    mode: int
    """With the bits of its kind, as in stat(2)."""
    view: memoryview
    """Where its content lies in the unpacked initrd; a copy of each would be the initrd once more."""

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return bytes(self.view)


Initrd = Mapping[str, Member]
"""Members by path, "usr/bin/busybox"; of two of one name the kernel keeps the later."""


def read_initrd(data: bytes) -> Initrd:
    """Return the members of an initrd; VerifyError where it is damaged, neither cpio nor compressed in a known way, or
    more than LARGEST unpacked."""
    found: dict[str, Member] = {}
    for count, member in enumerate(_members(data, layers=MOST_LAYERS, room=LARGEST)):
        if count == MOST_MEMBERS:
            raise VerifyError(f"the initrd has more than {MOST_MEMBERS} members")
        found[member.path] = member
    return found


def _members(data: bytes, *, layers: int, room: int) -> Iterator[Member]:
    """Yield what is in archives and in compressed parts; `room` is how many bytes may still be unpacked."""
    position = 0
    while position < len(data):
        if data[position] == 0:
            position = _skip_zeros(data, position)  # Archives are padded with zeros.
        elif data[position : position + 6] in NEWC:
            for member, end in _archive(data, position):
                position = end
                if member:
                    yield member
        elif layers == 0:
            raise VerifyError(f"the initrd is compressed more than {MOST_LAYERS} times")
        else:
            inner = _unpack(data[position:], room)
            del data  # Of many layers one is kept.
            yield from _members(inner, layers=layers - 1, room=room - len(inner))
            return


def _skip_zeros(data: bytes, position: int) -> int:
    found = NOT_ZERO.search(data, position)
    return found.start() if found else len(data)


def _archive(data: bytes, position: int) -> Iterator[tuple[Member | None, int]]:
    """Yield each member of the archive at `position` and where the next begins; None is its end."""
    view = memoryview(data)
    while True:
        if data[position : position + 6] not in NEWC:
            raise VerifyError(f"the initrd is damaged: no cpio header at byte {position}")
        fields = _read_fields(data, position)
        mode, size, name_size = fields[1], fields[6], fields[11]
        start = position + HEADER
        if name_size > LONGEST_PATH:
            raise VerifyError(f"the initrd is damaged: the name at byte {start} has {name_size} bytes")
        name = data[start : start + max(0, name_size - 1)].decode(errors="surrogateescape")
        content = _align(start + name_size)
        position = _align(content + size)
        if position > len(data) + 3:
            raise VerifyError(f"the initrd is damaged: it ends within {name[:80]!r}")
        if name == END:
            yield None, position
            return
        yield Member(name.removeprefix("./").lstrip("/"), mode, view[content : content + size]), position


def _read_fields(data: bytes, position: int) -> list[int]:
    digits = data[position + 6 : position + HEADER]
    if not HEX.fullmatch(digits):
        raise VerifyError(f"the initrd is damaged: the cpio header at byte {position} holds {digits[:16]!r}…")
    return [int(digits[8 * n : 8 * n + 8], 16) for n in range(13)]


def _align(position: int) -> int:
    return (position + 3) & ~3


def _unpack(data: bytes, room: int) -> bytes:
    if data.startswith(ZSTD):
        return _unpack_zstd(data, room)
    for magic, make in UNPACKERS.items():
        if data.startswith(magic):
            try:
                return _unpack_streams(data, magic, make, room)
            except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
                raise VerifyError(f"the initrd is damaged: {error}") from error
    raise VerifyError(f"the initrd goes on with {data[:6].hex()}, which is no cpio, zstd, gzip, xz or bzip2")


def _unpack_streams(data: bytes, magic: bytes, make: Callable[[], Any], room: int) -> bytes:
    """Unpack compressed streams that follow each other."""
    found, position, count = io.BytesIO(), 0, 0
    while data.startswith(magic, position):
        stream, count = make(), count + 1
        if count > MOST_STREAMS:
            raise EOFError(f"it has more than {MOST_STREAMS} compressed parts")
        # Piece by piece: each stream returns a copy of all that comes after it.
        while not stream.eof:
            piece = data[position : position + PIECE]
            if not piece:
                raise EOFError("it ends within its compressed part")
            found.write(stream.decompress(piece, room + 1 - found.tell()))
            _check_size(found.tell(), room)
            position += len(piece) - len(stream.unused_data)
    return found.getvalue()


def _unpack_zstd(data: bytes, room: int) -> bytes:
    with NamedTemporaryFile() as source:
        source.write(data)
        source.flush()
        with piped(["zstd", "--quiet", "--decompress", "--stdout", "--", source.name], env={}) as process:
            assert process.stdout is not None  # Both are pipes.
            assert process.stderr is not None
            with process.stdout, process.stderr:
                found = process.stdout.read(room + 1)
                _check_size(len(found), room)
                message = process.stderr.read().decode(errors="replace").strip()
            if process.wait():
                raise VerifyError(f"the initrd is damaged: {message}")
    return found


def _check_size(size: int, room: int) -> None:
    if size > room:
        raise VerifyError(f"the initrd is more than {LARGEST} bytes unpacked, which is the most that is read")
