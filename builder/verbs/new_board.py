# SPDX-License-Identifier: MIT
"""`boardwright new-board`: a directory to start a board from."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.recipe.load import new_board as make_board
from builder.verbs.options import BOARDS, Boards
from builder.verbs.session import cli_session, print_line


def new_board(
    name: Annotated[str, typer.Argument(help="Name of the new directory below boards/.")],
    parent: Annotated[str, typer.Option("--from", help="The board it starts from.")],
    boards: Boards = BOARDS,
) -> None:
    """Make a board's directory that plans at once."""
    with cli_session(json=False):
        print_line(str(make_board(boards, name, parent)))
