# SPDX-License-Identifier: MIT
"""The verbs of the command line that prove an image."""

from __future__ import annotations

from builder import log
from builder.options import (
    BOARDS,
    DIST,
    STATE,
    AsBoard,
    Boards,
    ImageOrBoard,
    Json,
    Level,
    LevelName,
    Only,
    Output,
    ReportDirectory,
    State,
    UserData,
    Verbose,
    make_wish,
)
from builder.session import print_table, telling
from builder.verify.artefact import find_artefact
from builder.verify.check import verify_artefact
from builder.verify.report import Report, as_data, check_report, render_report


def verify(
    image: ImageOrBoard,
    board: AsBoard = "",
    level: Level = LevelName.OFFLINE,
    only: Only = "",
    report: ReportDirectory = None,
    user_data: UserData = None,
    output: Output = DIST,
    boards: Boards = BOARDS,
    state: State = STATE,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run the specs on an image and print what they found; exit code 10 when one is red."""
    with telling(json=json, verbose=verbose):
        wish = make_wish(boards, board, level=level, only=only, report=report, user_data=user_data)
        found = verify_artefact(find_artefact(image, output), wish, state.resolve())
        _show_report(found, json=json)
        check_report(found)


def _show_report(report: Report, *, json: bool) -> None:
    log.emit(log.Event("result", report.summary, as_data(report)))
    if not json:
        print_table(render_report(report))
