# SPDX-License-Identifier: MIT
"""The verbs of the command line that prove an image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from builder import log
from builder.errors import RecipeError
from builder.options import (
    BOARDS,
    DIST,
    STATE,
    AsBoard,
    Boards,
    Boot,
    Host,
    Identity,
    ImageOrBoard,
    Json,
    Level,
    LevelName,
    Only,
    Output,
    ReportDirectory,
    SshPort,
    State,
    UserData,
    Verbose,
    make_wish,
)
from builder.rootfs import emulation as emulate
from builder.session import print_table, telling
from builder.verify.artefact import find_artefact
from builder.verify.check import verify_artefact
from builder.verify.report import Report, as_data, check_report, render_report
from builder.verify.seat import opened_seat


def verify(
    image: ImageOrBoard,
    board: AsBoard = "",
    level: Level = LevelName.OFFLINE,
    boot: Boot = False,
    host: Host = "",
    identity: Identity = None,
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
        if boot and host:
            raise RecipeError("--boot and --host name two systems to ask", hint="give one of them")
        wish = replace(wish, boot=boot, host=host, identity=identity, enter=_enter)
        found = verify_artefact(find_artefact(image, output), wish, state.resolve())
        _show_report(found, json=json)
        check_report(found)


def boot(
    image: ImageOrBoard,
    board: AsBoard = "",
    ssh_port: SshPort = 0,
    user_data: UserData = None,
    output: Output = DIST,
    boards: Boards = BOARDS,
    state: State = STATE,
) -> None:
    """Boot a copy of an image in QEMU, its console on this terminal. Nothing of the copy is kept."""
    with telling(json=False):
        wish = make_wish(boards, board, level=LevelName.OFFLINE, only="", report=None, user_data=user_data)
        with opened_seat(find_artefact(image, output), wish, state.resolve(), ssh_port=ssh_port) as seat:
            print(seat.ssh, flush=True)
            seat.use()


def _enter(tree: Path, architecture: str) -> list[str]:
    """Return the words that start a command in a tree. A few programs are not worth making twins for."""
    how = emulate.choose(architecture=architecture, wanted="qemu")
    return emulate.command(how, [], rootfs=tree, chroot=True)


def _show_report(report: Report, *, json: bool) -> None:
    log.emit(log.Event("result", report.summary, as_data(report)))
    if not json:
        print_table(render_report(report))
