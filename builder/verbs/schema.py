# SPDX-License-Identifier: MIT
"""`boardwright schema`: print the JSON Schema of board.yaml."""

from __future__ import annotations

import sys

from builder.recipe.schema import render_schema


def schema() -> None:
    """Print the JSON Schema of board.yaml, for editors."""
    sys.stdout.write(render_schema())
