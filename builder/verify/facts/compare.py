# SPDX-License-Identifier: MIT
"""Compare contents of files and describe the first difference in one line."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from builder.disk.filetree import File
from builder.system.checksums import hash_stream
from builder.system.files import opened, read_bytes

LARGEST_TEXT = 64 << 10
"""Bytes; longer contents are not compared line by line."""
SHOWN = 200
"""Characters of a line in a message."""


def find_difference(content: bytes, expected: bytes) -> str:
    """Return the first difference, "" if there is none: the line of a text, else the offset of a byte."""
    if content == expected:
        return ""
    if max(len(content), len(expected)) <= LARGEST_TEXT and (difference := _find_line(content, expected)):
        return difference
    blocks = (at for at in range(0, len(expected), 4096) if content[at : at + 4096] != expected[at : at + 4096])
    offset = next(blocks, len(expected))
    pairs = zip_longest(content[offset : offset + 4096], expected[offset : offset + 4096])
    offset += next((at for at, (one, other) in enumerate(pairs) if one != other), 0)
    return f"{len(content)} bytes, expected {len(expected)}; they differ from byte {offset} on"


def find_file_difference(file: File, expected: Path) -> str:
    """Return the difference of an image's file from a local one, or "". Large files are not read into memory."""
    size_bytes = expected.stat().st_size
    if file.entry is None or file.entry.kind != "file":
        return "the file is missing"
    if max(file.entry.size_bytes, size_bytes) <= LARGEST_TEXT:
        return find_difference(file.content, read_bytes(expected))
    if file.entry.size_bytes != size_bytes:
        return f"{file.entry.size_bytes} bytes, expected {size_bytes}"
    with opened(expected) as stream:
        digest = hash_stream(stream, "sha256")
    is_same = digest == file.entry.hash("sha256", size_bytes)
    return "" if is_same else f"{size_bytes} bytes as expected, but the content differs"


def _find_line(content: bytes, expected: bytes) -> str:
    try:
        rows = zip_longest(content.decode().splitlines(), expected.decode().splitlines(), fillvalue="no line")
    except UnicodeDecodeError:
        return ""
    for number, (one, other) in enumerate(rows, 1):
        if one != other:
            return f"line {number} is {one[:SHOWN]!r}, expected {other[:SHOWN]!r}"
    return ""
