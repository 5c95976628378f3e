# SPDX-License-Identifier: MIT
"""`boardwright new-board`: make the directory of a new board."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.recipe.load import new_board as make_board
from builder.verbs.options import BOARDS, Boards
from builder.verbs.session import cli_session, print_line


def new_board(
    name: Annotated[str, typer.Argument(help="Name of the new directory below boards/.")],
    parent: Annotated[str, typer.Option("--from", help="The board that it extends.")],
    boards: Boards = BOARDS,
) -> None:
    """Make the directory of a new board, which can be planned at once."""
    with cli_session(json=False):
        print_line(str(make_board(boards, name, parent)))
