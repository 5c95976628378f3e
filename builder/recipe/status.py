# SPDX-License-Identifier: MIT
"""What was proved of the boards that are kept together: boards/status.yaml, beside the recipes and not in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

from builder.recipe.load import list_boards, load_board
from builder.recipe.messages import check_no_problems
from builder.recipe.model import Recipe
from builder.recipe.nodes import Problem, Scalar, plain_value, shorten
from builder.recipe.yaml_reader import describe, load_tree

Proof = Literal["planned", "built", "kernel", "booted"]
"""planned: nothing was made; built: made, offline specs green; kernel, booted: its kernel or its whole boot chain was
started in QEMU."""
FILE = "status.yaml"


def load_status(boards: Path) -> Mapping[str, Proof]:
    """Return how far each board was taken; a directory of boards without the file says nothing of any.

    Raises RecipeError for a board that is not there, and for what is no such step.
    """
    path = boards / FILE
    if not path.is_file():
        return {}
    problems: list[Problem] = []
    tree = load_tree(path, problems)
    known = set(list_boards(boards))
    for name, entry in tree.entries.items() if tree else ():
        if name not in known:
            problems.append(Problem(entry.at, f"found {shorten(name)!r}, which is no board; take the line out"))
        elif not isinstance(entry.node, Scalar) or entry.node.value not in get_args(Proof):
            allowed = ", ".join(get_args(Proof))
            problems.append(Problem(entry.node.at, f"found {describe(entry.node)} for {name}; allowed: {allowed}"))
    check_no_problems(problems, hint=f"{FILE} says how far each board was taken")
    return cast("Mapping[str, Proof]", plain_value(tree) if tree else {})


def list_made(boards: Path) -> list[str]:
    """Return the boards that are made when all are asked for: all but those of which no more than a plan was made."""
    status = load_status(boards)
    return [name for name in list_boards(boards) if status.get(name) != "planned"]


def needs_vendor_blobs(recipe: Recipe) -> bool:
    """Say whether a board starts with something that its maker has to be asked for."""
    return any(blob.url for blob in recipe.blobs.values())


def describe_boards(boards: Path) -> dict[str, dict[str, Any]]:
    """Return what people and programs ask of all boards: title, architecture, suite, features, what was proved."""
    status = load_status(boards)
    recipes = {name: load_board(boards, name).recipe for name in list_boards(boards)}
    return {
        name: {
            "title": recipe.title,
            "architecture": recipe.architecture.value,
            "suite": recipe.suite,
            "features": recipe.features,
            "proved": status.get(name, ""),
            "vendor_blobs": needs_vendor_blobs(recipe),
        }
        for name, recipe in recipes.items()
    }
