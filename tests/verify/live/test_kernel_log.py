# SPDX-License-Identifier: MIT
"""A kernel's complaints are found with what explains them, and those of a slow machine are told apart."""

from __future__ import annotations

import time

import pytest

from builder.verify.live.kernel_log import find_trouble

QUIET = ["[    0.0] Booting Linux", "[    2.1] EXT4-fs (mmcblk0p2): recovery complete"]
STALL = [
    "[   37.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "[   37.2] rcu:         2-...!: (0 ticks this GP) idle=d5fc/1/0x4000000000000000",
    "[   37.2] CPU: 2 UID: 0 PID: 0 Comm: swapper/2 Not tainted 6.12.107+deb13-arm64",
    "[   37.2867] Call trace:",
]
FAULT = [
    "[   12.0] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010",
    "[   12.1] Internal error: Oops: 0000000096000004 [#1] SMP",
    "[   12.2] Call trace:",
]


def test_a_quiet_log_has_nothing() -> None:
    assert find_trouble(QUIET, emulated=False) == []


def test_a_machine_that_was_held_up_is_not_to_blame() -> None:
    assert find_trouble(QUIET + STALL, emulated=True) == []


def test_on_a_real_board_a_stall_is_a_fault() -> None:
    (found,) = find_trouble(QUIET + STALL, emulated=False)
    assert "detected stalls" in found


def test_a_fault_is_found_with_what_stands_above_its_trace() -> None:
    oops, trace = find_trouble(QUIET + FAULT, emulated=True)
    assert "Oops" in oops
    assert "NULL pointer" in trace


@pytest.mark.parametrize(
    "line", ["EXT4-fs error (device vda2): ext4_lookup", "Out of memory: Killed process 1", "BUG: x"]
)
def test_one_line_is_enough(line: str) -> None:
    assert find_trouble([f"[ 1.0] {line}"], emulated=True) == [f"[ 1.0] {line}"]


def test_a_fault_in_the_middle_of_a_stall_counts() -> None:
    assert find_trouble([*STALL[:2], FAULT[1]], emulated=True) == [FAULT[1]]


def test_a_word_within_a_word_is_no_fault() -> None:
    assert (
        find_trouble(["[    0.0] Calibrating delay using timer specific routine, loops_per_jiffy."], emulated=False)
        == []
    )


def test_what_came_long_after_a_stall_counts() -> None:
    assert find_trouble([*STALL, *(["[   50.0] quiet"] * 30), *FAULT], emulated=True)


def test_a_line_that_says_the_same_without_end_is_looked_at_in_no_time() -> None:
    line = "BUG: " + "rcu" * 200_000
    begun = time.monotonic()
    assert find_trouble([line], emulated=True) == [line]
    assert time.monotonic() - begun < 5
