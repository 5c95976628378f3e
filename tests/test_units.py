# SPDX-License-Identifier: MIT
"""Sizes: what is written is what is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.units import GIB, KIB, MIB, SECTOR, align_up, load_size, render_size

FACTORS = {"": 1, "B": 1, "s": SECTOR, "KiB": KIB, "MiB": MIB, "GiB": GIB}
WHOLE = st.integers(0, 2**40)


@given(WHOLE, st.sampled_from(sorted(FACTORS)), st.sampled_from(["", " "]))
def test_every_unit_counts(number: int, unit: str, gap: str) -> None:
    assert load_size(f"{number}{gap}{unit}") == number * FACTORS[unit]


@given(WHOLE)
def test_what_is_rendered_names_nearly_the_same_size(size_bytes: int) -> None:
    number, unit = render_size(size_bytes).split()
    assert float(number) * FACTORS[unit] == pytest.approx(size_bytes, rel=0.051)


@given(st.integers(1, 1023), st.sampled_from(["B", "KiB", "MiB", "GiB"]))
def test_round_sizes_survive_both_ways(number: int, unit: str) -> None:
    assert render_size(load_size(f"{number}{unit}")) == f"{number} {unit}"


@pytest.mark.parametrize(
    "text", ["", "MiB", "12MB", "12M", "12mib", "-1", "1.5GiB", "1 2", "0x10", "٣", "12KiB KiB", "1e3"]
)
def test_what_is_no_size_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="KiB, MiB, GiB or s") as caught:
        load_size(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (17, "17 B"), (512 * MIB, "512 MiB"), (1331 * MIB, "1.3 GiB")]
)
def test_sizes_for_people(size_bytes: int, text: str) -> None:
    assert render_size(size_bytes) == text


@given(WHOLE, st.integers(1, 2**20))
def test_aligned_is_the_next_multiple(value: int, step: int) -> None:
    aligned = align_up(value, step)
    assert aligned % step == 0
    assert 0 <= aligned - value < step
