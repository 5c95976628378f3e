# SPDX-License-Identifier: MIT
"""`boardwright shell`: open a shell in the rootfs of a board's last build."""

from __future__ import annotations

import typer

from builder.choices import Engine
from builder.engine.docker.connect import choose_engine
from builder.engine.docker.console import open_shell
from builder.engine.local import enter_rootfs
from builder.recipe.load import load_board
from builder.verbs.options import BOARDS, STATE, BoardName, Boards, EngineOption, State
from builder.verbs.session import cli_session


def shell(
    board: BoardName,
    engine: EngineOption = Engine.AUTO,
    boards: Boards = BOARDS,
    state: State = STATE,
) -> None:
    """Open a shell in the rootfs of a board's last build. Changes are discarded."""
    with cli_session(json=False):
        recipe = load_board(boards, board).recipe
        if choose_engine(engine) == Engine.LOCAL:
            code = enter_rootfs(state.resolve(), board, architecture=recipe.architecture)
        else:
            code = open_shell(board, boards=boards.resolve(), state=state.resolve())
    raise typer.Exit(code)
