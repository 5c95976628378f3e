# SPDX-License-Identifier: MIT
"""The face: one short function a verb. stdout is the result, stderr the story; only `main` exits."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from builder import __version__, log
from builder.engine.connect import choose_engine
from builder.engine.console import open_shell
from builder.engine.docker import Request, run_in_docker
from builder.engine.doctor import run_doctor
from builder.engine.local import enter_rootfs, install_tools
from builder.errors import BoardwrightError, MachineError
from builder.options import (
    BOARDS,
    DIST,
    STATE,
    Assembler,
    AssemblerName,
    BoardName,
    Boards,
    Compress,
    CompressionName,
    Emulation,
    EmulationName,
    Engine,
    EngineName,
    Epoch,
    ImageVersion,
    Json,
    NoWait,
    Output,
    ReuseRootfs,
    State,
    UserData,
    Verbose,
)
from builder.pipeline import Choices
from builder.pipeline import build as run_pipeline
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.plan.show import render_json, render_table
from builder.recipe.load import list_boards, load_board
from builder.recipe.load import new_board as make_board
from builder.recipe.schema import render_schema
from builder.release.artefact import Artefact
from builder.session import show_error, telling
from builder.version import find_epoch, find_version

app = typer.Typer(
    help="Builds operating-system images for single-board computers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"boardwright {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def build(
    board: BoardName,
    version: ImageVersion = "",
    engine: Engine = EngineName.AUTO,
    assembler: Assembler = AssemblerName.AUTO,
    compress: Compress = CompressionName.ZST,
    emulation: Emulation = EmulationName.AUTO,
    output: Output = DIST,
    user_data: UserData = None,
    epoch: Epoch = None,
    no_wait: NoWait = False,
    reuse_rootfs: ReuseRootfs = False,
    boards: Boards = BOARDS,
    state: State = STATE,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Build a board's image: dist/boardwright-BOARD-VERSION.img.zst, its checksum and its list of packages."""
    with telling(json=json, verbose=verbose):
        plan = load_plan(boards, board, version=version, epoch=epoch, user_data=user_data)
        choices = Choices(
            state.resolve(),
            output.resolve(),
            assembler=assembler.value,
            compression=compress.value,
            emulation=emulation.value,
            wait=not no_wait,
            reuse_rootfs=reuse_rootfs,
        )
        artefacts = build_on(engine, plan, choices, boards=boards.resolve())
        log.emit(
            log.Event(
                "result",
                f"{board} {plan.version}",
                {"artefacts": [{"path": str(a.path), "size": a.size_bytes, "sha256": a.sha256} for a in artefacts]},
            )
        )
        if not json:
            for artefact in artefacts:
                print(f"{artefact.path}  {artefact.size_bytes} bytes  sha256 {artefact.sha256}")


def build_on(engine: EngineName, plan: Plan, choices: Choices, *, boards: Path) -> Sequence[Artefact]:
    """Build here or in a container; the container plans again, from the same board, version and time."""
    if choose_engine(engine.value) == "local":
        install_tools(plan)
        return run_pipeline(plan, choices)
    options = (
        *("--version", plan.version, "--epoch", str(plan.epoch)),
        *("--assembler", choices.assembler, "--compress", choices.compression, "--emulation", choices.emulation),
        *(["--no-wait"] if not choices.wait else []),
        *(["--reuse-rootfs"] if choices.reuse_rootfs else []),
    )
    inputs = {"--user-data": plan.user_data} if plan.user_data else {}
    request = Request(plan.board, boards, choices.state, choices.output, options, inputs)
    return run_in_docker(request).artefacts


@app.command()
def plan(
    board: BoardName,
    version: ImageVersion = "",
    user_data: UserData = None,
    epoch: Epoch = None,
    boards: Boards = BOARDS,
    json: Json = False,
) -> None:
    """Show every decision of a build. Needs no root, no network, no Docker."""
    with telling(json=False):
        decided = load_plan(boards, board, version=version, epoch=epoch, user_data=user_data)
        if json:
            print(render_json(decided))
        else:
            _print_table(render_table(decided))


@app.command("boards")
def show_boards(boards: Boards = BOARDS, json: Json = False) -> None:
    """List the boards: title, architecture, suite, features."""
    with telling(json=False):
        recipes = {name: load_board(boards, name).recipe for name in list_boards(boards)}
        if json:
            rows = {
                name: {"title": r.title, "architecture": r.architecture, "suite": r.suite, "features": r.features}
                for name, r in recipes.items()
            }
            print(jsonlib.dumps(rows, indent=2))
            return
        table = Table("Board", "Title", "Architecture", "Suite", "Features", box=None, pad_edge=False)
        for name, recipe in recipes.items():
            table.add_row(name, recipe.title, recipe.architecture, recipe.suite, " ".join(recipe.features))
        _print_table(table)


@app.command()
def schema() -> None:
    """Print the JSON Schema of board.yaml, for editors."""
    print(render_schema(), end="")


@app.command()
def shell(
    board: BoardName,
    engine: Engine = EngineName.AUTO,
    boards: Boards = BOARDS,
    state: State = STATE,
) -> None:
    """Open a shell in the rootfs of a board's last build. Changes are thrown away."""
    with telling(json=False):
        recipe = load_board(boards, board).recipe
        if choose_engine(engine.value) == "local":
            code = enter_rootfs(state.resolve(), board, architecture=recipe.architecture)
        else:
            code = open_shell(board, boards=boards.resolve(), state=state.resolve())
    raise typer.Exit(code)


@app.command("new-board")
def new_board(
    name: Annotated[str, typer.Argument(help="Name of the new directory below boards/.")],
    parent: Annotated[str, typer.Option("--from", help="The board it starts from.")],
    boards: Boards = BOARDS,
) -> None:
    """Make a board's directory that plans at once."""
    with telling(json=False):
        print(make_board(boards, name, parent))


@app.command()
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Give back what interrupted builds left.")] = False,
    engine: Engine = EngineName.AUTO,
    state: State = STATE,
    json: Json = False,
) -> None:
    """Say what is wrong with this machine: tools, Engine, loop devices, emulation, space, leftovers."""
    with telling(json=False):
        healthy = run_doctor(state.resolve(), engine=engine.value, fix=fix, json=json)
    raise typer.Exit(0 if healthy else MachineError.exit_code)


def load_plan(boards: Path, name: str, *, version: str, epoch: int | None, user_data: Path | None) -> Plan:
    """Load a board and decide everything; what the user did not name comes from git."""
    board = load_board(boards, name)
    return make_plan(
        board,
        version=version or find_version(boards),
        epoch=epoch if epoch is not None else find_epoch(boards) or int(time.time()),
        user_data=user_data.resolve() if user_data else None,
    )


def _print_table(table: RenderableType) -> None:
    """Print to the width of the terminal; into a file or a pipe, as wide as the table wants to be."""
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def main() -> NoReturn:
    """Run the command line; every BoardwrightError becomes a message and its exit code."""
    try:
        app()
    except BoardwrightError as error:
        show_error(error)
        sys.exit(error.exit_code)
    sys.exit(0)
