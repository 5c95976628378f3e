# SPDX-License-Identifier: MIT
"""Differences between contents, in a line."""

from __future__ import annotations

import pytest

from builder.verify.compare import find_difference

LONG = bytes(range(256)) * 1000


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        (b"", b"", ""),
        (LONG, LONG, ""),
        (b"a\nb\n", b"a\nc\n", "line 2 is 'b', wanted 'c'"),
        (b"a\n", b"a\nb\n", "line 2 is 'no line', wanted 'b'"),
        (b"", b"a", "line 1 is 'no line', wanted 'a'"),
        (b"a\n", b"a", "2 bytes, wanted 1; they differ from byte 1 on"),
        (b"\xff\x00", b"\xff\x01", "2 bytes, wanted 2; they differ from byte 1 on"),
        (LONG[:100_000], LONG, "100000 bytes, wanted 256000; they differ from byte 100000 on"),
        (LONG, LONG[:100_000], "256000 bytes, wanted 100000; they differ from byte 100000 on"),
        (LONG[:9000] + b"x" + LONG[9001:], LONG, "256000 bytes, wanted 256000; they differ from byte 9000 on"),
        (b"x" * 900, b"y", f"line 1 is '{'x' * 200}', wanted 'y'"),
    ],
)
def test_a_difference_is_said_in_a_line(found: bytes, wanted: bytes, expected: str) -> None:
    assert find_difference(found, wanted) == expected
