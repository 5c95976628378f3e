# SPDX-License-Identifier: MIT
"""What each board's recipe comes to, kept as text: a change of a recipe shows in its plan, where a reviewer reads it.

`.venv/bin/python -m tests.plan.test_golden` writes the files again.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from builder.recipe.load import list_boards
from tests.conftest import ROOT

GOLDEN = Path(__file__).parent / "golden"
BOARDS = list_boards(ROOT / "boards")


def render(board: str) -> str:
    """Return the plan as `boardwright plan` prints it, without the keys of its stages, which change with our code."""
    words = ["plan", board, "--version", "1.0", "--epoch", "1790000000", "--state", str(GOLDEN / "none")]
    done = subprocess.run(
        [sys.executable, "-m", "builder", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    text = re.sub(r"^Stages\n.*?\n\n", "", done.stdout, flags=re.MULTILINE | re.DOTALL)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def file_of(board: str) -> Path:
    return GOLDEN / f"{board}.txt"


@pytest.mark.parametrize("board", BOARDS)
def test_the_plan_is_the_one_that_was_read(board: str) -> None:
    assert render(board) == file_of(board).read_text(encoding="utf-8")


def test_no_plan_is_left_of_a_board_that_is_gone() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == BOARDS


if __name__ == "__main__":
    for name in BOARDS:
        file_of(name).write_text(render(name), encoding="utf-8")
