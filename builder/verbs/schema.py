# SPDX-License-Identifier: MIT
"""`boardwright schema`: the JSON Schema of board.yaml."""

from __future__ import annotations

from builder.recipe.schema import render_schema


def schema() -> None:
    """Print the JSON Schema of board.yaml, for editors."""
    print(render_schema(), end="")
