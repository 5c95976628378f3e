# SPDX-License-Identifier: MIT
"""Differences between contents, in a line."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from builder.disk.entry import Entry, Piece
from builder.disk.filetree import FileTree
from builder.verify.facts.compare import find_difference, find_file_difference

LONG = bytes(range(256)) * 1000


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        (b"", b"", ""),
        (LONG, LONG, ""),
        (b"a\nb\n", b"a\nc\n", "line 2 is 'b', expected 'c'"),
        (b"a\n", b"a\nb\n", "line 2 is 'no line', expected 'b'"),
        (b"", b"a", "line 1 is 'no line', expected 'a'"),
        (b"a\n", b"a", "2 bytes, expected 1; they differ from byte 1 on"),
        (b"\xff\x00", b"\xff\x01", "2 bytes, expected 2; they differ from byte 1 on"),
        (LONG[:100_000], LONG, "100000 bytes, expected 256000; they differ from byte 100000 on"),
        (LONG, LONG[:100_000], "256000 bytes, expected 100000; they differ from byte 100000 on"),
        (LONG[:9000] + b"x" + LONG[9001:], LONG, "256000 bytes, expected 256000; they differ from byte 9000 on"),
        (b"x" * 900, b"y", f"line 1 is '{'x' * 200}', expected 'y'"),
    ],
)
def test_a_difference_is_said_in_a_line(found: bytes, wanted: bytes, expected: str) -> None:
    assert find_difference(found, wanted) == expected


@pytest.mark.parametrize(
    ("content", "wanted", "expected"),
    [
        (b"a\n", b"a\n", ""),
        (b"a\n", b"b\n", "line 1 is 'a', expected 'b'"),
        (LONG, LONG, ""),
        (LONG, LONG[:-1], "256000 bytes, expected 255999"),
        (LONG, LONG[:-1] + b"x", "256000 bytes as expected, but the content differs"),
    ],
)
def test_a_file_of_an_image_is_compared(content: bytes, wanted: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(content)
    (tmp_path / "wanted").write_bytes(wanted)
    piece = Piece(0, len(content), tmp_path / "image", 0)
    tree = FileTree([Entry("/x", "file", 0o644, 0, 0, len(content), 0, pieces=(piece,))])
    assert find_file_difference(tree.file("/x"), tmp_path / "wanted") == expected


def test_a_file_of_any_size_is_compared(tmp_path: Path) -> None:
    """A board may lay down an archive of containers: more than is read, or hashed, of a file that no recipe expects."""
    size_bytes = 3 << 30
    wanted = tmp_path / "wanted"
    wanted.touch()
    os.truncate(wanted, size_bytes)
    hole = Entry("/x", "file", 0o644, 0, 0, size_bytes, 0)
    assert find_file_difference(FileTree([hole]).file("/x"), wanted) == ""
    assert find_file_difference(FileTree([replace(hole, kind="pipe")]).file("/x"), wanted) == "the file is missing"
    assert find_file_difference(FileTree([]).file("/x"), wanted) == "the file is missing"
