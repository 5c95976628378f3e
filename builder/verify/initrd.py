# SPDX-License-Identifier: MIT
"""What is in an initrd: one cpio archive after another, each plain or compressed (Linux,
Documentation/driver-api/early-userspace/buffer-format.rst).

Read here and not unpacked by cpio: that needs root for device nodes, and cannot tell where an archive ends.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from tempfile import TemporaryFile

from builder.errors import VerifyError
from builder.run import run

NEWC = (b"070701", b"070702")
HEADER = 110
END = "TRAILER!!!"
ZSTD = b"\x28\xb5\x2f\xfd"
UNPACKERS = {b"\x1f\x8b": gzip.decompress, b"\xfd7zXZ\x00": lzma.decompress, b"BZh": bz2.decompress}


@dataclass(frozen=True)
class Member:
    """A file of an initrd."""

    path: str
    mode: int
    """With the bits of its kind, as in stat(2)."""
    content: bytes


Initrd = Mapping[str, Member]
"""Members by path, "usr/bin/busybox"; of two of one name the kernel keeps the later."""


def read_initrd(data: bytes) -> Initrd:
    """Return the members of an initrd; VerifyError where it is neither cpio nor compressed in a known way."""
    return {member.path: member for member in _members(data)}


def _members(data: bytes) -> Iterator[Member]:
    position = 0
    while position < len(data):
        if data[position] == 0:
            position += 1  # Archives are padded with zeros.
        elif data[position : position + 6] in NEWC:
            for member, end in _archive(data, position):
                position = end
                if member:
                    yield member
        else:
            yield from _members(_unpack(data[position:]))
            return


def _archive(data: bytes, position: int) -> Iterator[tuple[Member | None, int]]:
    """Yield each member of the archive at `position` and where the next begins; None is its end."""
    while True:
        if data[position : position + 6] not in NEWC:
            raise VerifyError(f"the initrd is damaged: no cpio header at byte {position}")
        fields = [int(data[position + 6 + 8 * n : position + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        start = position + HEADER
        name = data[start : start + name_size - 1].decode(errors="surrogateescape")
        content = _align(start + name_size)
        position = _align(content + size)
        if position > len(data) + 3:
            raise VerifyError(f"the initrd is damaged: it ends within {name}")
        if name == END:
            yield None, position
            return
        yield Member(name.removeprefix("./").lstrip("/"), mode, data[content : content + size]), position


def _align(position: int) -> int:
    return (position + 3) & ~3


def _unpack(data: bytes) -> bytes:
    if data.startswith(ZSTD):
        return _unpack_zstd(data)
    for magic, unpack in UNPACKERS.items():
        if data.startswith(magic):
            try:
                return unpack(data)
            except (EOFError, OSError, lzma.LZMAError) as error:
                raise VerifyError(f"the initrd is damaged: {error}") from error
    raise VerifyError(f"the initrd goes on with {data[:6].hex()}, which is no cpio, zstd, gzip, xz or bzip2")


def _unpack_zstd(data: bytes) -> bytes:
    with TemporaryFile() as target:
        result = run(["zstd", "--quiet", "--decompress", "--stdout"], stdin=data, stdout=target, ok=range(256))
        if result.code:
            raise VerifyError(f"the initrd is damaged: {result.stderr.strip()}")
        target.seek(0)
        return target.read()
