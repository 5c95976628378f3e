# SPDX-License-Identifier: MIT
"""What was proved of the boards that are kept together: boards/status.yaml, beside the recipes and not in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ruamel.yaml import YAML

from builder.errors import RecipeError
from builder.inputs import read_text
from builder.recipe.load import list_boards, load_board
from builder.recipe.model import Recipe
from builder.recipe.source import MAX_BYTES

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
    said = YAML(typ="safe").load(read_text(path, limit=MAX_BYTES, within=boards)) or {}
    known = set(list_boards(boards))
    for name, proof in said.items():
        if name not in known:
            raise RecipeError(f"{path}: found {name!r}, which is no board", hint="take the line out")
        if proof not in get_args(Proof):
            allowed = ", ".join(get_args(Proof))
            raise RecipeError(f"{path}: found {proof!r} for {name}; allowed: {allowed}")
    return cast("Mapping[str, Proof]", said)


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
