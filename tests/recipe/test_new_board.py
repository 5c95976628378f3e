# SPDX-License-Identifier: MIT
"""A new board plans at once, or nothing of it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.plan.make import make_plan
from builder.recipe.load import list_boards, load_board, new_board
from tests.support.recipes import GOOD, write_board


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    write_board(tmp_path / "boards", "good", GOOD)
    return tmp_path / "boards"


@pytest.mark.parametrize("name", ["my-board", "3", "null", "true"])
def test_plans_at_once(boards: Path, name: str) -> None:
    directory = new_board(boards, name, "good")
    assert directory == boards / name
    assert {str(path.relative_to(directory)) for path in directory.rglob("*")} == {
        "README.md",
        "board.yaml",
        "files",
        "files/.gitkeep",
    }
    plan = make_plan(load_board(boards, name), version="1", epoch=0)
    assert plan.image_name == f"boardwright-{name}-1.img"
    assert f"boardwright plan {name}" in (directory / "README.md").read_text()
    assert (directory / "board.yaml").read_text().startswith("# yaml-language-server: $schema=../schema.json\n")


def test_a_new_board_can_be_a_parent(boards: Path) -> None:
    new_board(boards, "1e3", "good")
    new_board(boards, "two", "1e3")
    assert [directory.name for directory in load_board(boards, "two").directories] == ["good", "1e3", "two"]


def test_what_the_comments_show_is_right(boards: Path) -> None:
    """Every commented key, taken in, is one a recipe has."""
    directory = new_board(boards, "x", "good")
    text = (directory / "board.yaml").read_text()
    head, _, rest = text.partition("\n\n")
    shown = "\n".join(line.removeprefix("# ") for line in rest.splitlines() if line != "#   partitions: []")
    shown = shown.replace("table:                    # partitions are a list: to change one, write all", "")
    (directory / "debs").mkdir()
    (directory / "debs/linux-image-custom.deb").touch()
    (directory / "board.yaml").write_text(f"{head}\n{shown}\n")
    recipe = load_board(boards, "x").recipe
    assert recipe.hostname == "x"
    assert recipe.packages["mine"] == ["tmux", "vim"]
    assert recipe.boot.config == {"camera": "dtoverlay=imx219\n"}


@pytest.mark.parametrize("name", ["", "-x", "X", "a_b", "../x", "a/b", "_base", ".x", "a\n"])
def test_bad_names(boards: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="expected lower-case letters"):
        new_board(boards, name, "good")
    assert list_boards(boards) == ["good"]


def test_unknown_parent(boards: Path) -> None:
    with pytest.raises(RecipeError, match=r"board 'goood': not found.*did you mean \"good\""):
        new_board(boards, "x", "goood")


def test_broken_parent(boards: Path) -> None:
    write_board(boards, "bad", "extends: good\nsuite: 13\n")
    with pytest.raises(RecipeError, match="found the number 13"):
        new_board(boards, "x", "bad")
    assert not (boards / "x").exists()


@pytest.mark.parametrize("kind", ["directory", "symlink"])
def test_existing(boards: Path, kind: str) -> None:
    (boards / "x").mkdir() if kind == "directory" else (boards / "x").symlink_to("nowhere")
    with pytest.raises(RecipeError, match="x: exists; expected a new name"):
        new_board(boards, "x", "good")


def test_nothing_is_left_when_writing_fails(boards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        new_board(boards, "x", "good")
    assert sorted(path.name for path in boards.iterdir()) == ["good"]
