# SPDX-License-Identifier: MIT
"""Read boards/status.yaml: how far each board was tested. It is beside the recipes, not in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

from builder.recipe.load import list_boards, load_board
from builder.recipe.messages import check_no_problems
from builder.recipe.model import Recipe
from builder.recipe.nodes import Problem, Scalar, plain_value, shorten
from builder.recipe.phrases import join_options
from builder.recipe.yaml_reader import describe, load_tree

Proof = Literal["planned", "built", "kernel", "booted"]
"""planned: no image was built; built: an image was built and its offline specs passed; kernel: QEMU started its kernel;
booted: QEMU started its whole boot chain."""
FILE = "status.yaml"


def load_status(boards: Path) -> Mapping[str, Proof]:
    """Return how far each board was tested; {} if the directory has no such file.

    Raises RecipeError for an unknown board or value.
    """
    path = boards / FILE
    if not path.is_file():
        return {}
    problems: list[Problem] = []
    tree = load_tree(path, problems)
    known = set(list_boards(boards))
    for name, entry in tree.entries.items() if tree else ():
        if name not in known:
            problems.append(Problem(entry.at, f"found {shorten(name)!r}; expected an existing board; remove the line"))
        elif not isinstance(entry.node, Scalar) or entry.node.value not in get_args(Proof):
            options = join_options(get_args(Proof))
            problems.append(Problem(entry.node.at, f"found {describe(entry.node)} for {name}; expected {options}"))
    check_no_problems(problems, hint=f"{FILE} has one line for each board: how far it was tested")
    return cast("Mapping[str, Proof]", plain_value(tree) if tree else {})


def list_made(boards: Path) -> list[str]:
    """Return the boards that a build of all boards makes: all whose status is not `planned`."""
    status = load_status(boards)
    return [name for name in list_boards(boards) if status.get(name) != "planned"]


def needs_vendor_blobs(recipe: Recipe) -> bool:
    """Return whether the build downloads boot code from the board's maker."""
    return any(blob.url for blob in recipe.blobs.values())


def describe_boards(boards: Path) -> dict[str, dict[str, Any]]:
    """Return facts of all boards: title, architecture, suite, features, status, vendor blobs."""
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
