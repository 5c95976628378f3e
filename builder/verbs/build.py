# SPDX-License-Identifier: MIT
"""`boardwright build`: images of one board or of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import typer

from builder import log
from builder.artefact.files import Artefact
from builder.engine.dispatch import build_on
from builder.engine.display import open_rows
from builder.engine.several import Order, build_several, first_error
from builder.errors import RecipeError
from builder.net.location import load_location
from builder.pipeline import Choices
from builder.recipe.load import check_is_board
from builder.recipe.status import list_made
from builder.rootfs.make import Use
from builder.verbs.options import (
    BOARDS,
    CACHE_SIZE,
    DIST,
    STATE,
    AllBoards,
    Assembler,
    AssemblerName,
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
    load_cache_size,
    load_moment,
)
from builder.verbs.session import print_line, telling


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
        names = _choose_boards(boards, board, everything=everything)
        choices = replace(
            Choices(state.resolve(), output.resolve(), assembler.value, compress, emulation.value),
            wait=not no_wait,
            rootfs=_load_use(reuse=reuse_rootfs, never=no_cache),
            have=tuple(have or ()),
            verify=not no_verify,
            cache_bytes=load_cache_size(max_size),
            shared=load_location(cache, cache_mode.value),
        )
        moment = load_moment(boards, version, epoch)
        order = Order(boards, *moment, user_data and user_data.absolute(), choices, engine.value)
        _build(names, order, jobs=jobs, json=json, verbose=verbose)


def _choose_boards(boards: Path, names: Sequence[str] | None, *, everything: bool) -> list[str]:
    """Return the boards to build, each once; RecipeError for one that is not there."""
    if bool(names) == everything:
        raise typer.BadParameter("give the names of boards, or --all")
    for name in names or ():
        check_is_board(boards, name)
    return list(dict.fromkeys(names or list_made(boards)))


def _load_use(*, reuse: bool, never: bool) -> Use:
    """Return when the last build's rootfs is taken; RecipeError for both of two opposites."""
    if reuse and never:
        raise RecipeError("--reuse-rootfs and --no-cache ask for opposite things", hint="give one of them")
    return "never" if never else "asked" if reuse else "current"


def _build(names: Sequence[str], order: Order, *, jobs: int, json: bool, verbose: bool) -> None:
    """Build boards and show what became of them; of several, the error is of the kind of the first that failed."""
    if len(names) == 1:
        plan = order.plan(names[0])
        artefacts = build_on(order.engine, plan, order.choices, boards=order.boards.resolve())
        _show(f"{plan.board} {plan.version}", artefacts, json=json)
        return
    with open_rows(names, json=json, verbose=verbose) as row_of:
        ended = build_several(names, order, jobs=jobs, row_of=row_of)
    if not json:
        _print([artefact for each in ended for artefact in each.artefacts])
    if error := first_error(ended):
        raise error
    log.note(f"all {len(ended)} boards are built")


def _show(title: str, artefacts: Sequence[Artefact], *, json: bool) -> None:
    """Report the artefacts of a build: as an event, and as lines on stdout."""
    log.emit(log.Event("result", title, {"artefacts": [artefact.to_row() for artefact in artefacts]}))
    if not json:
        _print(artefacts)


def _print(artefacts: Sequence[Artefact]) -> None:
    """Write artefacts to stdout, a line each."""
    for artefact in artefacts:
        print_line(f"{artefact.path}  {artefact.size_bytes} bytes  sha256 {artefact.sha256}")
