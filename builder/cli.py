# SPDX-License-Identifier: MIT
"""The face: one short function a verb. stdout is the result, stderr the story; only `main` exits."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from builder import __version__, log
from builder.engine.caches import Verb, render_lines, run_cache
from builder.engine.connect import choose_engine
from builder.engine.console import open_shell
from builder.engine.doctor import run_doctor
from builder.engine.local import enter_rootfs
from builder.engine.place import build_on
from builder.engine.rows import open_rows
from builder.engine.several import Order, build_several, first_error
from builder.errors import BoardwrightError, MachineError
from builder.foresee import foresee
from builder.options import (
    BOARDS,
    CACHE_SIZE,
    DIST,
    STATE,
    AllBoards,
    Assembler,
    AssemblerName,
    BoardName,
    BoardNames,
    Boards,
    CacheMode,
    CacheModeName,
    CacheSize,
    Compress,
    CompressionName,
    Emulation,
    EmulationName,
    Engine,
    EngineName,
    Epoch,
    Have,
    ImageVersion,
    Jobs,
    Json,
    NoCache,
    NoVerify,
    NoWait,
    Output,
    ReuseRootfs,
    SharedCache,
    State,
    UserData,
    Verbose,
    choose_boards,
    load_cache_size,
    load_moment,
    load_plan,
    load_use,
)
from builder.pipeline import Choices
from builder.plan.show import render_json, render_table
from builder.recipe.load import load_board
from builder.recipe.load import new_board as make_board
from builder.recipe.schema import render_schema
from builder.recipe.status import describe_boards
from builder.session import print_artefacts, print_table, show_artefacts, show_error, telling
from builder.shared import load_location
from builder.verbs.package import package
from builder.verbs.prove import boot, verify

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
    board: BoardNames = None,
    everything: AllBoards = False,
    jobs: Jobs = 0,
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
    no_cache: NoCache = False,
    no_verify: NoVerify = False,
    max_size: CacheSize = CACHE_SIZE,
    have: Have = None,
    cache: SharedCache = "",
    cache_mode: CacheMode = CacheModeName.RW,
    boards: Boards = BOARDS,
    state: State = STATE,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Build images: dist/boardwright-BOARD-VERSION.img.zst of each board, its checksum and its list of packages."""
    with telling(json=json, verbose=verbose):
        names = choose_boards(boards, board, everything=everything)
        choices = replace(
            Choices(state.resolve(), output.resolve(), assembler.value, compress.value, emulation.value),
            wait=not no_wait,
            rootfs=load_use(reuse=reuse_rootfs, never=no_cache),
            have=tuple(have or ()),
            verify=not no_verify,
            cache_bytes=load_cache_size(max_size),
            shared=load_location(cache, cache_mode.value),
        )
        moment = load_moment(boards, version, epoch)
        order = Order(boards, *moment, user_data and user_data.resolve(), choices, engine.value)
        _build(names, order, jobs=jobs, json=json, verbose=verbose)


def _build(names: Sequence[str], order: Order, *, jobs: int, json: bool, verbose: bool) -> None:
    """Build boards and show what became of them; of several, the error is of the kind of the first that failed."""
    if len(names) == 1:
        plan = order.plan(names[0])
        artefacts = build_on(order.engine, plan, order.choices, boards=order.boards.resolve())
        show_artefacts(f"{plan.board} {plan.version}", artefacts, json=json)
        return
    with open_rows(names, json=json, verbose=verbose) as row_of:
        ended = build_several(names, order, jobs=jobs, row_of=row_of)
    if not json:
        print_artefacts([artefact for each in ended for artefact in each.artefacts])
    if error := first_error(ended):
        raise error
    log.note(f"all {len(ended)} boards are built")


@app.command()
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
    with telling(json=False):
        decided = load_plan(boards, board, version=version, epoch=epoch, user_data=user_data)
        if json:
            print(render_json(decided))
        else:
            print_table(render_table(decided, foresee(state, decided)))


@app.command("boards")
def show_boards(boards: Boards = BOARDS, json: Json = False) -> None:
    """List the boards: title, architecture, how far each was proved, whose blobs it needs, features."""
    with telling(json=False):
        rows = describe_boards(boards)
        if json:
            print(jsonlib.dumps(rows, indent=2))
            return
        table = Table("Board", "Title", "Architecture", "Proved", "Blobs", "Features", box=None, pad_edge=False)
        for name, row in rows.items():
            blobs = "vendor's" if row["vendor_blobs"] else ""
            table.add_row(name, row["title"], row["architecture"], row["proved"], blobs, " ".join(row["features"]))
        print_table(table)


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


app.command()(verify)
app.command()(boot)
app.command()(package)


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


caches = typer.Typer(help="Look at what is kept to save time, or make it smaller.", no_args_is_help=True)
app.add_typer(caches, name="cache")


@caches.command("ls")
def cache_ls(engine: Engine = EngineName.AUTO, state: State = STATE, json: Json = False) -> None:
    """List packages, downloads, indexes, native twins and the boards' rootfs."""
    _do_cache("ls", engine, state, CACHE_SIZE, json=json)


@caches.command("gc")
def cache_gc(
    max_size: CacheSize = CACHE_SIZE, engine: Engine = EngineName.AUTO, state: State = STATE, json: Json = False
) -> None:
    """Remove what was not used for longest until the rest fits; print what was removed."""
    _do_cache("gc", engine, state, max_size, json=json)


@caches.command("clear")
def cache_clear(engine: Engine = EngineName.AUTO, state: State = STATE, json: Json = False) -> None:
    """Remove all of it that no build uses; print what was removed."""
    _do_cache("clear", engine, state, CACHE_SIZE, json=json)


def _do_cache(verb: Verb, engine: EngineName, state: Path, max_size: str, *, json: bool) -> None:
    with telling(json=False):
        lines = run_cache(verb, state.resolve(), engine=engine.value, limit_bytes=load_cache_size(max_size))
        if json:
            print(jsonlib.dumps([asdict(line) for line in lines]))
        else:
            print_table(render_lines(lines, total="in all" if verb == "ls" else "removed"))


def main() -> NoReturn:
    """Run the command line; every BoardwrightError becomes a message and its exit code."""
    try:
        app()
    except BoardwrightError as error:
        show_error(error)
        sys.exit(error.exit_code)
    sys.exit(0)
