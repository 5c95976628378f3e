# SPDX-License-Identifier: MIT
"""`boardwright verify`: run the specs on an image, or check packaged images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from builder import log
from builder.choices import EmulationChoice, Engine, Level
from builder.disk.image_file import find_artefact
from builder.engine.docker.boot import verify_in_docker
from builder.engine.tools import choose_tools, guess_recipe
from builder.errors import RecipeError
from builder.rootfs import emulation as emulate
from builder.verbs.options import (
    BOARDS,
    DIST,
    STATE,
    AsBoard,
    Boards,
    Boot,
    Dist,
    EngineOption,
    Host,
    Identity,
    ImageOrBoard,
    Json,
    Key,
    LevelOption,
    Only,
    ReportDirectory,
    State,
    UserData,
    Verbose,
    load_key_text,
)
from builder.verbs.session import cli_session, print_line, print_table
from builder.verbs.verify_options import make_options
from builder.verify.live.qemu.needs import find_missing_for_specs
from builder.verify.report import Report, as_data, check_report, render_report
from builder.verify.verify import VerifyOptions, verify_artefact

ReleasePlace = Annotated[
    str,
    typer.Option(
        "--release",
        metavar="DIR_OR_URL",
        help="Check packaged images instead: their directory, or the address of a release.",
    ),
]


def verify(
    image: ImageOrBoard = "",
    board: AsBoard = "",
    level: LevelOption = Level.OFFLINE,
    boot: Boot = False,
    host: Host = "",
    identity: Identity = None,
    only: Only = "",
    report: ReportDirectory = None,
    user_data: UserData = None,
    engine: EngineOption = Engine.AUTO,
    release: ReleasePlace = "",
    key: Key = "",
    dist: Dist = DIST,
    boards: Boards = BOARDS,
    state: State = STATE,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run the specs on an image and print the results; exit code 10 if one fails. Or check a release."""
    with cli_session(json=json, verbose=verbose):
        if bool(image) == bool(release):
            raise typer.BadParameter("expected an image or a board, or --release with packaged images")
        if release:
            _verify_release(release, key, state.resolve(), json=json)
            return
        options = make_options(boards, board, level=level, only=only, report=report, user_data=user_data)
        if boot and host:
            raise RecipeError("--boot and --host cannot be combined", hint="use one of them")
        options = replace(options, boot=boot, host=host, identity=identity, enter=_enter)
        results = _verify(find_artefact(image, dist, boards), options, state.resolve(), engine)
        _show_report(results, json=json)
        check_report(results)


def _verify(path: Path, options: VerifyOptions, state: Path, engine: Engine) -> Report:
    """Run the specs on the machine that has the tools; a real board is always verified from here, which has its key."""
    if options.host:
        if engine == Engine.DOCKER:
            raise RecipeError("--host verifies a board from this machine; expected --engine auto or local")
        return verify_artefact(path, options, state)
    recipe = guess_recipe(path, options.board, options.boards)
    if choose_tools(engine, find_missing_for_specs(path, recipe, boot=options.boot)) == Engine.DOCKER:
        return verify_in_docker(path, options, state)
    return verify_artefact(path, options, state)


def _verify_release(address: str, key: str, state: Path, *, json: bool) -> None:
    """Check packaged images and print their content; an error lists all problems."""
    from builder.fetch.download import open_release  # noqa: PLC0415
    from builder.packaging.check import check_release  # noqa: PLC0415 - its libraries take a second to load

    with open_release(address, state / "released") as directory:
        findings = check_release(directory, load_key_text(key))
    findings.check()
    made_by = ", ".join(findings.signers) or "no key"
    if findings.with_key:
        log.note(f"signed by {made_by}")
    else:
        log.warn(f"no signature was checked, because no --key was given. They claim to be signed by {made_by}")
    rows = [package.model_dump(mode="json") for package in findings.packages]
    data = {"packages": rows, "signers": list(findings.signers), "signatures_checked": findings.with_key}
    log.emit(log.Event("result", f"{len(rows)} packaged images are correct", data))
    if not json:
        for package in findings.packages:
            specs = "" if package.specs else ", UNVERIFIED"
            files = f"{len(package.files)} files are correct"
            print_line(f"{package.name}: {files}, image sha256 {package.image_sha256}{specs}")


def _enter(tree: Path, architecture: str) -> list[str]:
    """Return the argv prefix that starts a command in a tree; for a few programs, no twins are made."""
    emulation = emulate.choose(architecture=architecture, wanted=EmulationChoice.QEMU)
    return emulate.command(emulation, [], rootfs=tree, chroot=True)


def _show_report(report: Report, *, json: bool) -> None:
    log.emit(log.Event("result", report.summary, as_data(report)))
    if not json:
        print_table(render_report(report))
