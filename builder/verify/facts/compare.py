# SPDX-License-Identifier: MIT
"""Contents of files, compared: a difference is shown on one line, however long they are."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from builder.disk.filetree import File
from builder.system.checksums import hash_stream
from builder.system.files import opened, read_bytes

LARGEST_TEXT = 64 << 10
"""Bytes; longer ones are not compared line by line."""
SHOWN = 200
"""Letters of a line that are repeated."""


def find_difference(found: bytes, wanted: bytes) -> str:
    """Return how one content differs from another, "" where it does not: a line of a text, else the place of a byte."""
    if found == wanted:
        return ""
    if max(len(found), len(wanted)) <= LARGEST_TEXT and (difference := _find_line(found, wanted)):
        return difference
    place = next(
        (at for at in range(0, len(wanted), 4096) if found[at : at + 4096] != wanted[at : at + 4096]), len(wanted)
    )
    pairs = zip_longest(found[place : place + 4096], wanted[place : place + 4096])
    place += next((at for at, (one, other) in enumerate(pairs) if one != other), 0)
    return f"{len(found)} bytes, wanted {len(wanted)}; they differ from byte {place} on"


def find_file_difference(file: File, wanted: Path) -> str:
    """Return how a file of an image differs from one of this machine, or nothing. Neither is read whole into memory."""
    size_bytes = wanted.stat().st_size
    if file.entry is None or file.entry.kind != "file":
        return "there is no file"
    if max(file.entry.size_bytes, size_bytes) <= LARGEST_TEXT:
        return find_difference(file.content, read_bytes(wanted))
    if file.entry.size_bytes != size_bytes:
        return f"{file.entry.size_bytes} bytes, wanted {size_bytes}"
    with opened(wanted) as stream:
        digest = hash_stream(stream, "sha256")
    is_same = digest == file.entry.hash("sha256", size_bytes)
    return "" if is_same else f"{size_bytes} bytes as wanted, and another content"


def _find_line(found: bytes, wanted: bytes) -> str:
    try:
        rows = zip_longest(found.decode().splitlines(), wanted.decode().splitlines(), fillvalue="no line")
    except UnicodeDecodeError:
        return ""
    for number, (one, other) in enumerate(rows, 1):
        if one != other:
            return f"line {number} is {one[:SHOWN]!r}, wanted {other[:SHOWN]!r}"
    return ""
