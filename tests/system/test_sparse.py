# SPDX-License-Identifier: MIT
"""Copies of sparse files: the same bytes, and no more of them on the disk."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.errors import Interrupted
from builder.system.sparse import GRAIN, copy_range, find_extents, write_sparse
from builder.units import KIB, MIB

SIZE = 4 * MIB
PIECES = st.lists(st.tuples(st.integers(0, SIZE - 5000), st.binary(min_size=1, max_size=5000)), max_size=4)
LENIENT = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make_sparse(path: Path, pieces: list[tuple[int, bytes]], size: int) -> Path:
    with path.open("wb") as stream:
        for offset, content in pieces:
            stream.seek(offset)
            stream.write(content)
        stream.truncate(size)
    return path


def copy(source: Path, target: Path, start: int, stop: int) -> Path:
    with source.open("rb") as first, target.open("wb") as second:
        copy_range(first.fileno(), second.fileno(), start, stop)
    return target


@LENIENT
@given(pieces=PIECES, start=st.integers(0, SIZE), length=st.integers(0, 2 * SIZE))
def test_a_range_is_copied_with_its_holes(
    tmp_path: Path, pieces: list[tuple[int, bytes]], start: int, length: int
) -> None:
    source = make_sparse(tmp_path / "source", pieces, SIZE)
    target = copy(source, tmp_path / "target", start, start + length)
    assert target.read_bytes() == source.read_bytes()[start : start + length].ljust(length, b"\0")
    assert target.stat().st_blocks <= source.stat().st_blocks + (len(pieces) + 1) * 4 * KIB // 512


@LENIENT
@given(pieces=PIECES)
def test_zeros_of_a_stream_become_holes(tmp_path: Path, pieces: list[tuple[int, bytes]]) -> None:
    content = make_sparse(tmp_path / "source", pieces, SIZE).read_bytes()
    with (tmp_path / "target").open("wb") as target:
        written = sum(write_sparse(content[at : at + MIB], target) for at in range(0, SIZE, MIB))
        target.truncate(target.tell())
    assert (tmp_path / "target").read_bytes() == content
    assert written <= 2 * GRAIN * len(pieces)


@LENIENT
@given(pieces=PIECES, start=st.integers(0, SIZE - 1))
def test_extents_have_no_gap(tmp_path: Path, pieces: list[tuple[int, bytes]], start: int) -> None:
    with make_sparse(tmp_path / "source", pieces, SIZE).open("rb") as stream:
        extents = list(find_extents(stream.fileno(), SIZE, start))
    assert (extents[0][1], extents[-1][2]) == (start, SIZE)
    assert all(first[2] == second[1] for first, second in pairwise(extents))


def test_a_copy_can_be_ended(tmp_path: Path) -> None:
    source = make_sparse(tmp_path / "source", [(0, b"x")], MIB)

    def stop() -> None:
        raise Interrupted("stopped")

    with source.open("rb") as first, (tmp_path / "target").open("wb") as second, pytest.raises(Interrupted):
        copy_range(first.fileno(), second.fileno(), 0, MIB, stop)


def test_a_file_that_becomes_shorter_is_an_error(tmp_path: Path) -> None:
    source = make_sparse(tmp_path / "source", [(0, os.urandom(MIB))], MIB)
    with (
        source.open("rb") as first,
        (tmp_path / "target").open("wb") as second,
        pytest.raises(OSError, match="became shorter"),
    ):
        copy_range(first.fileno(), second.fileno(), 0, MIB, lambda: os.truncate(source, 0))
