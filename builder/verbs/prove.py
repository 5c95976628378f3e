# SPDX-License-Identifier: MIT
"""The verbs of the command line that prove an image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from builder import log
from builder.disk.image_file import find_artefact
from builder.engine.docker.boot import opened_seat_in_docker, verify_in_docker
from builder.engine.docker.connect import Wanted
from builder.engine.tools import choose_tools, guess_recipe
from builder.errors import RecipeError
from builder.rootfs import emulation as emulate
from builder.system.files import read_text
from builder.units import MIB
from builder.verbs.options import (
    BOARDS,
    DIST,
    STATE,
    AsBoard,
    Boards,
    Boot,
    Engine,
    EngineName,
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
)
from builder.verbs.session import print_line, print_table, telling
from builder.verbs.verify_options import make_wish
from builder.verify.live.console import Seat, opened_seat, prepare_seat
from builder.verify.live.qemu.needs import find_missing_for_boot, find_missing_for_specs
from builder.verify.report import Report, as_data, check_report, render_report
from builder.verify.verify import Wish, verify_artefact

MINISIGN_LINE = 56
"""Letters of a public key of minisign."""
ReleasePlace = Annotated[
    str,
    typer.Option(
        "--release",
        metavar="DIR_OR_URL",
        help="Check packaged images instead: a directory of one or several, or the address of a release.",
    ),
]
Key = Annotated[
    str,
    typer.Option(
        "--key",
        envvar="BOARDWRIGHT_PUBLIC_KEY",
        help="With --release: public key, as a file or as minisign's one line.",
    ),
]

Prepare = Annotated[
    Path | None,
    typer.Option("--prepare", hidden=True, help="Only make the machine, in that directory, and say how it starts."),
]
HiddenJson = Annotated[bool, typer.Option("--json", hidden=True, help="With --prepare: say it to a program.")]


def verify(
    image: ImageOrBoard = "",
    board: AsBoard = "",
    level: Level = LevelName.OFFLINE,
    boot: Boot = False,
    host: Host = "",
    identity: Identity = None,
    only: Only = "",
    report: ReportDirectory = None,
    user_data: UserData = None,
    engine: Engine = EngineName.AUTO,
    release: ReleasePlace = "",
    key: Key = "",
    output: Output = DIST,
    boards: Boards = BOARDS,
    state: State = STATE,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run the specs on an image and print what they found; exit code 10 when one is red. Or check a release."""
    with telling(json=json, verbose=verbose):
        if bool(image) == bool(release):
            raise typer.BadParameter("name an image or a board, or packaged images with --release")
        if release:
            _verify_release(release, key, state.resolve(), json=json)
            return
        wish = make_wish(boards, board, level=level, only=only, report=report, user_data=user_data)
        if boot and host:
            raise RecipeError("--boot and --host name two systems to ask", hint="give one of them")
        wish = replace(wish, boot=boot, host=host, identity=identity, enter=_enter)
        found = _verify(find_artefact(image, output, boards), wish, state.resolve(), engine.value)
        _show_report(found, json=json)
        check_report(found)


def _verify(path: Path, wish: Wish, state: Path, engine: Wanted) -> Report:
    """Run the specs where their tools are; a real board is always asked from here, where its key is."""
    if wish.host:
        if engine == "docker":
            raise RecipeError("--host asks a board from this machine; expected --engine auto or local")
        return verify_artefact(path, wish, state)
    recipe = guess_recipe(path, wish.board, wish.boards)
    if choose_tools(engine, find_missing_for_specs(path, recipe, boot=wish.boot)) == "docker":
        return verify_in_docker(path, wish, state)
    return verify_artefact(path, wish, state)


def _verify_release(place: str, key: str, state: Path, *, json: bool) -> None:
    """Check packaged images and print what is in them; an error names all that is wrong."""
    from builder.fetch.download import opened_release  # noqa: PLC0415
    from builder.packaging.check import check_release  # noqa: PLC0415 - what it stands on takes a second to load

    with opened_release(place, state / "released") as directory:
        findings = check_release(directory, load_key(key))
    findings.check()
    made_by = ", ".join(findings.signers) or "nobody"
    if findings.with_key:
        log.note(f"signed by {made_by}")
    else:
        log.warn(f"no signature was checked: no --key was given. By their own word they are signed by {made_by}")
    rows = [package.model_dump(mode="json") for package in findings.packages]
    data = {"packages": rows, "signers": list(findings.signers), "signatures_checked": findings.with_key}
    log.emit(log.Event("result", f"{len(rows)} packaged images are what they say", data))
    if not json:
        for package in findings.packages:
            specs = "" if package.specs else ", UNVERIFIED"
            files = f"{len(package.files)} files as they should be"
            print_line(f"{package.name}: {files}, image sha256 {package.image_sha256}{specs}")


def load_key(wanted: str) -> str:
    """Return the text of a public key that is named by its file or given itself; RecipeError for neither."""
    path = Path(wanted)
    if not wanted or "\n" in wanted:
        return wanted
    if path.is_file():
        return read_text(path, limit=MIB)
    if len(wanted) != MINISIGN_LINE:
        raise RecipeError(
            f"--key: {wanted} is no file, and no public key of minisign", hint="name the file minisign.pub"
        )
    return wanted


def boot(
    image: ImageOrBoard,
    board: AsBoard = "",
    ssh_port: SshPort = 0,
    user_data: UserData = None,
    engine: Engine = EngineName.AUTO,
    output: Output = DIST,
    boards: Boards = BOARDS,
    state: State = STATE,
    prepare: Prepare = None,
    json: HiddenJson = False,
) -> None:
    """Boot a copy of an image in QEMU, its console on this terminal. Nothing of the copy is kept."""
    with telling(json=json):
        wish = make_wish(boards, board, level=LevelName.OFFLINE, only="", report=None, user_data=user_data)
        path = find_artefact(image, output, boards)
        if prepare:
            _show_machine(prepare_seat(path, wish, state.resolve(), prepare, ssh_port=ssh_port))
            return
        recipe = guess_recipe(path, board, wish.boards)
        missing = find_missing_for_boot(path, recipe, login=user_data is None)
        open_seat = opened_seat_in_docker if choose_tools(engine.value, missing) == "docker" else opened_seat
        with open_seat(path, wish, state.resolve(), ssh_port=ssh_port) as seat:
            print_line(seat.ssh)
            seat.use()


def _show_machine(seat: Seat) -> None:
    """Tell the program outside the container how the machine that was made is started, and who may log in."""
    data = {"argv": seat.machine.argv, "user": seat.login.user if seat.login else ""}
    log.emit(log.Event("result", "a machine that can be started", data))


def _enter(tree: Path, architecture: str) -> list[str]:
    """Return the words that start a command in a tree. A few programs are not worth making twins for."""
    how = emulate.choose(architecture=architecture, wanted="qemu")
    return emulate.command(how, [], rootfs=tree, chroot=True)


def _show_report(report: Report, *, json: bool) -> None:
    log.emit(log.Event("result", report.summary, as_data(report)))
    if not json:
        print_table(render_report(report))
