# SPDX-License-Identifier: MIT
"""`boardwright boot`: boot a copy of an image in QEMU, with its console on this terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder import log
from builder.choices import Engine, Level
from builder.disk.image_file import find_artefact
from builder.engine.docker.boot import open_console_in_docker
from builder.engine.tools import choose_tools, guess_recipe
from builder.verbs.options import (
    BOARDS,
    DIST,
    STATE,
    AsBoard,
    Boards,
    Dist,
    EngineOption,
    ImageOrBoard,
    SshPort,
    State,
    UserData,
)
from builder.verbs.session import cli_session, print_line
from builder.verbs.verify_options import make_options
from builder.verify.live.console import InteractiveMachine, open_machine_console, prepare_machine
from builder.verify.live.qemu.needs import find_missing_for_boot

Prepare = Annotated[
    Path | None,
    typer.Option("--prepare", hidden=True, help="Only prepare the machine in this directory; print how to start it."),
]
HiddenJson = Annotated[bool, typer.Option("--json", hidden=True, help="With --prepare: print JSON.")]


def boot(
    image: ImageOrBoard,
    board: AsBoard = "",
    ssh_port: SshPort = 0,
    user_data: UserData = None,
    engine: EngineOption = Engine.AUTO,
    dist: Dist = DIST,
    boards: Boards = BOARDS,
    state: State = STATE,
    prepare: Prepare = None,
    json: HiddenJson = False,
) -> None:
    """Boot a copy of an image in QEMU, with its console on this terminal. The copy is deleted afterwards."""
    with cli_session(json=json):
        options = make_options(boards, board, level=Level.OFFLINE, only="", report=None, user_data=user_data)
        path = find_artefact(image, dist, boards)
        if prepare:
            _show_machine(prepare_machine(path, options, state.resolve(), prepare, ssh_port=ssh_port))
            return
        recipe = guess_recipe(path, board, options.boards)
        missing = find_missing_for_boot(path, recipe, login=user_data is None)
        open_console = (
            open_console_in_docker if choose_tools(engine, missing) == Engine.DOCKER else open_machine_console
        )
        with open_console(path, options, state.resolve(), ssh_port=ssh_port) as console:
            print_line(console.ssh)
            console.use()


def _show_machine(console: InteractiveMachine) -> None:
    """Report to the program outside the container how to start the machine, and its user."""
    data = {"argv": console.machine.argv, "user": console.login.user if console.login else ""}
    log.emit(log.Event("result", "the machine is ready to start", data))
