# SPDX-License-Identifier: MIT
"""`boardwright build`: build images of one or more boards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from builder import log
from builder.artefact.files import Artefact
from builder.choices import Assembler, CacheMode, EmulationChoice, Engine, RootfsUse
from builder.compression import Compression
from builder.engine.dispatch import build_on
from builder.engine.display import open_rows
from builder.engine.several import build_several, first_error
from builder.errors import RecipeError
from builder.net.location import load_location
from builder.recipe.load import check_is_board
from builder.recipe.status import list_made
from builder.request import BuildRequest, make_request
from builder.verbs.options import (
    BOARDS,
    CACHE_SIZE,
    DIST,
    STATE,
    AllBoards,
    AssemblerOption,
    BoardNames,
    Boards,
    CacheModeOption,
    CacheSize,
    Compress,
    EmulationOption,
    EngineOption,
    Epoch,
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
from builder.verbs.session import cli_session, print_line


def build(
    board: BoardNames = None,
    everything: AllBoards = False,
    jobs: Jobs = 0,
    version: ImageVersion = "",
    engine: EngineOption = Engine.AUTO,
    assembler: AssemblerOption = Assembler.AUTO,
    compress: Compress = Compression.ZST,
    emulation: EmulationOption = EmulationChoice.AUTO,
    output: Output = DIST,
    user_data: UserData = None,
    epoch: Epoch = None,
    no_wait: NoWait = False,
    reuse_rootfs: ReuseRootfs = False,
    no_cache: NoCache = False,
    no_verify: NoVerify = False,
    max_size: CacheSize = CACHE_SIZE,
    cache: SharedCache = "",
    cache_mode: CacheModeOption = CacheMode.RW,
    boards: Boards = BOARDS,
    state: State = STATE,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Build images: dist/boardwright-BOARD-VERSION.img.zst of each board, with checksum and list of packages."""
    with cli_session(json=json, verbose=verbose):
        load_location(cache, cache_mode)  # What it says of a wrong one is clearer.
        version, epoch = load_moment(boards, version, epoch)
        requests = [
            make_request(
                board=name,
                version=version,
                epoch=epoch,
                boards=boards.resolve(),
                state=state.resolve(),
                output=output.resolve(),
                user_data=user_data.absolute() if user_data else None,
                engine=engine,
                assembler=assembler,
                compress=compress,
                emulation=emulation,
                wait=not no_wait,
                rootfs=_load_use(reuse=reuse_rootfs, never=no_cache),
                verify=not no_verify,
                max_size=load_cache_size(max_size),
                cache=cache,
                cache_mode=cache_mode,
            )
            for name in _choose_boards(boards, board, everything=everything)
        ]
        _build(requests, jobs=jobs, json=json, verbose=verbose)


def _choose_boards(boards: Path, names: Sequence[str] | None, *, everything: bool) -> list[str]:
    """Return the boards to build without duplicates; RecipeError for a board that does not exist."""
    if bool(names) == everything:
        raise typer.BadParameter("expected names of boards, or --all")
    for name in names or ():
        check_is_board(boards, name)
    return list(dict.fromkeys(names or list_made(boards)))


def _load_use(*, reuse: bool, never: bool) -> RootfsUse:
    """Return when the last build's rootfs is reused; RecipeError if both options are given."""
    if reuse and never:
        raise RecipeError("--reuse-rootfs and --no-cache cannot be combined", hint="use one of them")
    return RootfsUse.NEVER if never else RootfsUse.AS_ASKED if reuse else RootfsUse.CURRENT


def _build(requests: Sequence[BuildRequest], *, jobs: int, json: bool, verbose: bool) -> None:
    """Build boards and show the results; of several, raise an error of the first failed board's class."""
    if len(requests) == 1:
        plan = requests[0].make_plan()
        _show(f"{plan.board} {plan.version}", build_on(plan, requests[0]), json=json)
        return
    with open_rows([request.board for request in requests], json=json, verbose=verbose) as row_of:
        ended = build_several(requests, jobs=jobs, row_of=row_of)
    if not json:
        _print([artefact for result in ended for artefact in result.artefacts])
    if error := first_error(ended):
        raise error
    log.note(f"all {len(ended)} boards are built")


def _show(title: str, artefacts: Sequence[Artefact], *, json: bool) -> None:
    """Report the artefacts of a build as an event, and as lines on stdout."""
    log.emit(log.Event("result", title, {"artefacts": [artefact.to_row() for artefact in artefacts]}))
    if not json:
        _print(artefacts)


def _print(artefacts: Sequence[Artefact]) -> None:
    """Print artefacts, one per line."""
    for artefact in artefacts:
        print_line(f"{artefact.path}  {artefact.size_bytes} bytes  sha256 {artefact.sha256}")
