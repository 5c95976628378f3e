# SPDX-License-Identifier: MIT
"""The entries of a FAT's directory: short names of 8 and 3 letters, and the long names before them (Microsoft,
fatgen103).

Readers differ for invalid directories: if a name occurs twice, they may find different files. So what no system writes
is refused, and not skipped.
"""

from __future__ import annotations

import calendar
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.disk.walk import damaged
from builder.errors import VerifyError

ENTRY = 32
LAST, DELETED, FOR_E5 = 0x00, 0xE5, 0x05
"""The first byte of an entry: nothing follows; it is free; the letter is 0xE5, which would mean free."""
ATTRIBUTES_LONG, ATTRIBUTE_VOLUME, ATTRIBUTE_DIRECTORY = 0x0F, 0x08, 0x10
LAST_PART, MOST_PARTS = 0x40, 20
"""Of the number of a long name's part: its last, which comes first on the disk."""
DOTS = (b".".ljust(11), b"..".ljust(11))


@dataclass(frozen=True)
class Short:
    """An entry of a directory as it is stored."""

    name: str
    is_directory: bool
    first: int
    size_bytes: int
    mtime: int
    alias: str = ""
    """Its short name, by which it can also be opened; the same as `name` if there is no long one."""


def read_entries(content: bytes, path: str) -> Iterator[Short]:
    """Yield the entries of a directory without `.` and `..`; VerifyError for what no system writes, and for a name of
    two entries."""
    names = set[str]()
    for short in _parse_all(content, path):
        spellings = {short.name.lower(), short.alias.lower()}
        for name in spellings & names:
            raise damaged("FAT", f"{path} has the name {name[:80]!r} twice")
        names |= spellings
        yield short


def _parse_all(content: bytes, path: str) -> Iterator[Short]:
    """Yield the entries; those with parts of a long name lie before the one they are for."""
    parts: list[bytes] = []
    for raw in _split(content, path):
        if _is_part(raw):
            parts.append(raw)
        elif _is_file(raw):
            if parts or raw[:11] not in DOTS:
                yield _parse(raw, parts, path)
            parts = []
        elif parts:
            raise _orphan(path)
    if parts:
        raise _orphan(path)


def _split(content: bytes, path: str) -> Iterator[bytes]:
    """Yield the entries before the end; VerifyError for more: Linux goes on behind it (fs/fat/dir.c, fat_search_long),
    and others stop."""
    for at in range(0, len(content) - ENTRY + 1, ENTRY):
        if content[at] == LAST:
            if content.count(0, at) != len(content) - at:
                raise damaged("FAT", f"{path} has entries behind its end")
            return
        yield content[at : at + ENTRY]


def _is_part(raw: bytes) -> bool:
    """Say whether an entry is a part of a long name. Linux requires exactly these attributes, others ignore some bits.
    A part with more bits is refused later, with its name."""
    return raw[0] != DELETED and raw[11] & ATTRIBUTES_LONG == ATTRIBUTES_LONG


def _is_file(raw: bytes) -> bool:
    return raw[0] != DELETED and not raw[11] & ATTRIBUTE_VOLUME


def _orphan(path: str) -> VerifyError:
    return damaged("FAT", f"{path} has parts of a long name without a file")


def _parse(raw: bytes, parts: Sequence[bytes], path: str) -> Short:
    high, time, date, low, size = struct.unpack_from("<HHHHI", raw, 20)
    alias = _short_name(raw)
    name = _long_name(parts, raw, path) if parts else alias
    return Short(
        name=name,
        is_directory=bool(raw[11] & ATTRIBUTE_DIRECTORY),
        first=low + (high << 16),
        size_bytes=size,
        mtime=_seconds(date, time),
        alias=alias,
    )


def _long_name(parts: Sequence[bytes], raw: bytes, path: str) -> str:
    """Return the name whose parts lie before a short one, the last part first."""
    numbers = [part[0] for part in parts]
    expected = [len(parts) | LAST_PART, *range(len(parts) - 1, 0, -1)]
    attributes = {part[11] for part in parts}
    if (
        len(parts) > MOST_PARTS
        or attributes != {ATTRIBUTES_LONG}
        or numbers != expected
        or {part[13] for part in parts} != {_checksum(raw[:11])}
    ):
        raise damaged("FAT", f"{path} has a long name that is not of its short name {_short_name(raw)!r}")
    text = b"".join(part[1:11] + part[14:26] + part[28:32] for part in reversed(parts))
    name, _, padding = text.decode("utf-16-le", errors="surrogatepass").partition("\0")
    if padding.strip("\uffff") or name.endswith((".", " ")):
        raise damaged("FAT", f"{path} has the name {name[:80]!r}, which none can have")
    return name


def _checksum(short: bytes) -> int:
    """Return the checksum of the short name that each part of a long name holds."""
    total = 0
    for letter in short:
        total = ((total >> 1) + ((total & 1) << 7) + letter) & 0xFF
    return total


def _short_name(raw: bytes) -> str:
    letters = (b"\xe5" if raw[0] == FOR_E5 else raw[:1]) + raw[1:11]
    stem, suffix = (letters[at:end].decode("cp437").rstrip(" ") for at, end in ((0, 8), (8, 11)))
    # Windows NT's bits: the name, or its suffix, is written in lower case.
    stem, suffix = (stem.lower() if raw[12] & 0x08 else stem), (suffix.lower() if raw[12] & 0x10 else suffix)
    return f"{stem}.{suffix}" if suffix else stem


def _seconds(date: int, time: int) -> int:
    """Return seconds since 1970 of the local time of a FAT, which builds write as UTC."""
    fields = (1980 + (date >> 9), date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2)
    try:
        return calendar.timegm((*fields, 0, 0, 0))
    except ValueError:
        return 0
