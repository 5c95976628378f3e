# SPDX-License-Identifier: MIT
"""Broken recipes and every message about them.

A case of tests/recipe/broken/*.txt is a name after ===, the text of boards/x/board.yaml, and after ! each line that is
expected, all of them and no other. Most texts start from the board `good` (tests/support/recipes.py). @ stands for
boards/x/board.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.recipe.load import load_board
from tests.support.recipes import GOOD, write_board


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    lines: tuple[str, ...]


def _load_cases(file: Path) -> list[Case]:
    cases = []
    for part in file.read_text(encoding="utf-8").split("=== ")[1:]:
        name, *lines = part.removesuffix("\n\n").split("\n")
        text = "".join(f"{line}\n" for line in lines if line and not line.startswith("! "))
        expected = (line[2:].replace("@", "boards/x/board.yaml") for line in lines if line.startswith("! "))
        cases.append(Case(name, text, tuple(expected)))
    return cases


CASES = [case for file in sorted((Path(__file__).parent / "broken").glob("*.txt")) for case in _load_cases(file)]


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Boards with `good`, and a directory x that has all but a recipe: a directory, a way out and a loop."""
    monkeypatch.chdir(tmp_path)
    boards = Path("boards")
    write_board(boards, "good", GOOD)
    directory = write_board(boards, "x", "")
    (directory / "keys").mkdir()
    (directory / "way-out").symlink_to("../good/board.yaml")
    (directory / "loop").symlink_to("loop")
    return boards


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_says_what_is_wrong_and_where(case: Case, boards: Path) -> None:
    (boards / "x/board.yaml").write_text(case.text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_board(boards, "x")
    assert tuple(caught.value.message.split("\n")) == case.lines
    assert caught.value.hint


def test_the_good_board_is_good(boards: Path) -> None:
    assert load_board(boards, "good").recipe.title == "A good board"


def test_there_are_enough_cases_of_different_names() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 100
    assert all(case.lines for case in CASES)
