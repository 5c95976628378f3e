# SPDX-License-Identifier: MIT
"""The proof of a board is claimed of boards that are there, in words that have a meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.recipe.load import list_boards, load_board
from builder.recipe.status import list_made, load_status, needs_vendor_blobs
from tests.conftest import ROOT
from tests.support.recipes import GOOD, write_board

BOARDS = ROOT / "boards"


def test_every_board_of_the_repository_has_a_status() -> None:
    assert list(load_status(BOARDS)) == list_boards(BOARDS)


def test_boards_of_ones_own_need_no_status(tmp_path: Path) -> None:
    assert load_status(tmp_path) == {}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("absent: built", "'absent'; expected an existing board"),
        ("good: perfect", "1:7: found 'perfect' for good; expected planned, built"),
        ("good: [built]", "1:7: found a list for good; expected planned, built"),
        ("good: *x", "1:7: not YAML: found undefined alias 'x'"),
        ("- good", "1:1: found a list; expected a mapping"),
    ],
)
def test_a_status_that_says_nothing_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    write_board(tmp_path, "good", GOOD)
    (tmp_path / "status.yaml").write_text(line)
    with pytest.raises(RecipeError, match=problem):
        load_status(tmp_path)


def test_a_board_that_was_planned_only_is_made_when_it_is_named() -> None:
    assert set(list_boards(BOARDS)) - set(list_made(BOARDS)) == {"rpi-foundation"}


@pytest.mark.parametrize(("board", "needs"), [("odroid-c1", True), ("orangepi-pc", False)])
def test_boards_say_whether_their_maker_must_be_asked(board: str, needs: bool) -> None:
    assert needs_vendor_blobs(load_board(BOARDS, board).recipe) is needs


@pytest.mark.parametrize(
    "board", [name for name, proof in load_status(BOARDS).items() if proof in ("kernel", "booted")]
)
def test_a_board_that_was_started_says_how(board: str) -> None:
    qemu = load_board(BOARDS, board).recipe.qemu
    assert qemu
    assert (qemu.firmware == "kernel") is (load_status(BOARDS)[board] == "kernel")
