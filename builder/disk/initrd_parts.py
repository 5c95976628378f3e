# SPDX-License-Identifier: MIT
"""A compressed part of an initrd, as Linux unpacks it (lib/decompress_*.c): one stream; another one is another part.

What Linux cannot unpack is refused, also where programs of this machine could: the board would start with no more than
what comes before it.
"""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import zlib
from collections.abc import Callable, Mapping
from tempfile import NamedTemporaryFile
from typing import Any

from builder.errors import VerifyError
from builder.system.process import piped
from builder.units import MIB

ZSTD = b"\x28\xb5\x2f\xfd"
GZIP, XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"
PIECE = 256 * 1024
XZ_MEMORY = 256 * MIB
UNPACKERS: Mapping[bytes, Callable[[], Any]] = {
    GZIP: lambda: zlib.decompressobj(wbits=31),
    XZ: lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY),
    b"BZh": bz2.BZ2Decompressor,
}
GZIP_NAME = 0x08
"""The one field of gzip's header that Linux passes over (lib/decompress_inflate.c)."""
XZ_CHECKS = (0, 1)
"""None and CRC32: the others are not in Linux (Documentation/staging/xz.rst)."""
RAW, RLE, COMPRESSED = 0, 1, 2
"""Kinds of zstd's blocks (RFC 8878)."""


def unpack_part(data: bytes, position: int, room: int) -> tuple[bytes | None, int]:
    """Return what the part at `position` unpacks to, None for more than `room` bytes, and where the next part begins;
    VerifyError for what is damaged or cannot be one."""
    try:
        if data.startswith(ZSTD, position):
            end = _find_zstd_end(data, position)
            return _unpack_zstd(data[position:end], room), end
        for magic, make in UNPACKERS.items():
            if data.startswith(magic, position):
                _check_header(data, position)
                return _unpack_stream(data, position, make(), room)
    except (EOFError, OSError, lzma.LZMAError, zlib.error, struct.error) as error:
        raise VerifyError(f"the initrd is damaged: {error}") from error
    head = data[position : position + 6].hex()
    raise VerifyError(f"the initrd goes on with {head}, which is not cpio, zstd, gzip, xz or bzip2")


def _check_header(data: bytes, position: int) -> None:
    """Raise VerifyError for a header that Linux does not read as others do."""
    if data.startswith(GZIP, position) and data[position + 3 : position + 4].strip(bytes([GZIP_NAME, 0])):
        raise VerifyError(f"the initrd has a gzip with the flags 0x{data[position + 3]:02x}; allowed: a name")
    if data.startswith(XZ, position) and data[position + 7 : position + 8].strip(bytes(XZ_CHECKS)):
        raise VerifyError(f"the initrd has an xz with the check {data[position + 7]}; allowed: 1 (--check=crc32)")


def _unpack_stream(data: bytes, position: int, stream: Any, room: int) -> tuple[bytes | None, int]:
    unpacked = io.BytesIO()
    # Piece by piece: a stream returns a copy of all that comes after it.
    while not stream.eof:
        piece = data[position : position + PIECE]
        if not piece:
            raise EOFError("it ends within its compressed part")
        unpacked.write(stream.decompress(piece, room + 1 - unpacked.tell()))
        if unpacked.tell() > room:
            return None, position
        position += len(piece) - len(stream.unused_data)
    return unpacked.getvalue(), position


def _find_zstd_end(data: bytes, position: int) -> int:
    """Return where a frame of zstd ends (RFC 8878, 3.1.1); struct.error where the data does before."""
    descriptor: int = struct.unpack_from("<B", data, position + 4)[0]
    is_single, has_checksum, dictionary = descriptor >> 5 & 1, descriptor >> 2 & 1, (0, 1, 2, 4)[descriptor & 3]
    size_field = (is_single, 2, 4, 8)[descriptor >> 6]
    position += 5 + (1 - is_single) + dictionary + size_field
    is_last = 0
    while not is_last:
        low, high = struct.unpack_from("<HB", data, position)
        header = low | high << 16
        is_last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind not in (RAW, RLE, COMPRESSED):
            raise EOFError(f"there is no block of zstd at byte {position}")
        position += 3 + (1 if kind == RLE else size)
    return position + 4 * has_checksum


def _unpack_zstd(frame: bytes, room: int) -> bytes | None:
    with NamedTemporaryFile() as source:
        source.write(frame)
        source.flush()
        with piped(["zstd", "--quiet", "--decompress", "--stdout", "--", source.name], env={}) as process:
            assert process.stdout is not None  # Both are pipes.
            assert process.stderr is not None
            with process.stdout, process.stderr:
                content = process.stdout.read(room + 1)
                if len(content) > room:
                    return None
                message = process.stderr.read().decode(errors="replace").strip()
            if process.wait():
                raise VerifyError(f"the initrd is damaged: {message}")
    return content
