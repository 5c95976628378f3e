# SPDX-License-Identifier: MIT
"""`boardwright plan`: show every decision of a build, as a table or as JSON."""

from __future__ import annotations

from builder import log
from builder.cache_preview import find_supply, preview_cache
from builder.plan.make import make_plan
from builder.plan.render import render_json, render_table
from builder.recipe.load import load_board
from builder.verbs.options import (
    BOARDS,
    STATE,
    BoardName,
    Boards,
    Epoch,
    ImageVersion,
    Json,
    State,
    UserData,
    load_moment,
)
from builder.verbs.session import cli_session, print_line, print_table


def plan(
    board: BoardName,
    version: ImageVersion = "",
    user_data: UserData = None,
    epoch: Epoch = None,
    boards: Boards = BOARDS,
    state: State = STATE,
    json: Json = False,
) -> None:
    """Show every decision of a build. Needs no root, no network, no Docker."""
    with cli_session(json=json, events=False):
        loaded = load_board(boards, board)
        version, epoch = load_moment(boards, version, epoch)
        decided = make_plan(loaded, version=version, epoch=epoch, user_data=user_data.absolute() if user_data else None)
        for warning in decided.warnings:
            log.warn(warning)
        if json:
            print_line(render_json(decided))
        else:
            supply = find_supply(state, decided.board)
            for warning in supply.find_warnings():
                log.warn(warning)
            print_table(render_table(decided, preview_cache(state, decided), supply.archives))
