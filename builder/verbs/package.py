# SPDX-License-Identifier: MIT
"""`boardwright package`: make the packaged image, with all files to publish."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from builder import log
from builder.artefact.build_record import SUFFIX, Record, is_of_plan, read_record
from builder.compression import Compression
from builder.disk.image_file import OpenImage, find_artefact, open_image
from builder.errors import RecipeError, VerifyError
from builder.packaging.contents import read_contents
from builder.packaging.installed import read_installed
from builder.packaging.make import VALID_DAYS, Hardware, PackageInput, make_packaged_image
from builder.packaging.model import PackagedImage
from builder.packaging.provenance import SourceCommit
from builder.packaging.sbom import Sbom
from builder.packaging.spec_report import SpecReport, find_fault, read_report
from builder.plan.make import make_plan
from builder.recipe.load import Board, load_board
from builder.signing.keys import Signers, find_key
from builder.system.files import read_text
from builder.system.git import call_git
from builder.system.workspace import RELEASERS, open_journal
from builder.units import render_size
from builder.verbs.options import (
    BOARDS,
    DIST,
    PACKAGED,
    STATE,
    Boards,
    Dist,
    Json,
    State,
    Verbose,
    check_output,
)
from builder.verbs.session import cli_session, print_line
from builder.verify.verify import open_scratch, read_claim

Images = Annotated[
    list[str],
    typer.Argument(
        help="Image files, compressed or not, or boards (their newest in --dist).", metavar="IMAGE_OR_BOARD"
    ),
]
Into = Annotated[Path, typer.Option("--output", "-o", callback=check_output, help="Directory for packaged images.")]
Compressions = Annotated[
    str, typer.Option("--compress", help="Compression of the image: xz, zst, gz, zip; several with commas.")
]
Supplier = Annotated[
    str, typer.Option(envvar="BOARDWRIGHT_SUPPLIER", help="Name of the publisher, for the SBOM of materials.")
]
MinisignFd = Annotated[
    int | None,
    typer.Option("--minisign-key-fd", help="Open file with minisign's secret key; default: BOARDWRIGHT_MINISIGN_KEY."),
]
GpgFd = Annotated[
    int | None, typer.Option("--gpg-key-fd", help="Open file with GnuPG's secret key; default: BOARDWRIGHT_GPG_KEY.")
]
Unverified = Annotated[
    bool,
    typer.Option("--unverified", help="Package an image whose specs were not run or failed, and record that."),
]
ValidDays = Annotated[
    int,
    typer.Option(
        min=0,
        max=36500,
        help="Days after the build until a newer image is expected; a later fetch warns. 0: no limit.",
    ),
]
REPORTS = (".specs.json", ".specs.xml")
BESIDE = (".packages", *REPORTS)
"""Suffixes of files that a build or `verify` writes beside an image, and that a packaged image needs."""


def package(
    image: Images,
    output: Into = PACKAGED,
    compress: Compressions = "xz",
    supplier: Supplier = "",
    unverified: Unverified = False,
    valid_days: ValidDays = VALID_DAYS,
    minisign_key_fd: MinisignFd = None,
    gpg_key_fd: GpgFd = None,
    dist: Dist = DIST,
    boards: Boards = BOARDS,
    state: State = STATE,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make a directory of each image with all files to publish; print the directories."""
    with cli_session(json=json, verbose=verbose):
        compressions = load_compressions(compress)
        paths = [find_artefact(name, dist, boards) for name in image]
        signers = Signers(
            find_key("BOARDWRIGHT_MINISIGN_KEY", minisign_key_fd, "BOARDWRIGHT_MINISIGN_PASSWORD"),
            find_key("BOARDWRIGHT_GPG_KEY", gpg_key_fd, "BOARDWRIGHT_GPG_PASSWORD"),
        )
        if not signers.names:
            log.warn("no signing key is given: the packaged images are not signed")
        for path in paths:
            with ExitStack() as held:
                scratch = held.enter_context(open_scratch(state.resolve(), "package"))
                journal = held.enter_context(open_journal(state.resolve(), "package", RELEASERS))
                disk = held.enter_context(open_image(path, scratch))
                inputs = replace(collect(disk, boards, supplier, unverified=unverified), valid_days=valid_days)
                made = make_packaged_image(
                    inputs, output.resolve(), compressions=compressions, signers=signers, journal=journal
                )
            _show(*made, signers, json=json)


def load_compressions(text: str) -> list[Compression]:
    """Return the formats of --compress, each once; RecipeError for an unknown one."""
    allowed = [compression.value for compression in Compression if compression is not Compression.NONE]
    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in allowed]
    if wrong or not names:
        name = wrong[0] if wrong else "nothing"
        raise RecipeError(f"--compress: found {name}; allowed: {', '.join(allowed)}", hint="join several with commas")
    return [Compression(name) for name in dict.fromkeys(names)]


def collect(image: OpenImage, boards: Path, supplier: str, *, unverified: bool = False) -> PackageInput:
    """Return all facts of an opened image: from itself, from files beside it, and from its recipe.

    unverified  leave out a report that is missing or has failures

    Raises VerifyError (no report beside it), RecipeError (unknown board).
    """
    texts = _read_beside(image, unverified=unverified)
    report = _find_report(texts, image, unverified=unverified)
    record, claim = _find_record(image), read_claim(image.raw)
    board = load_board(boards.resolve(), report.board if report else claim.board)
    version = report.version if report else claim.version
    _check_name(image, f"boardwright-{board.name}-{version or 'VERSION'}")
    recipe = board.recipe
    with log.step("read the image"):
        contents = read_contents(image.raw)
        digests = {deb.name: (deb.version, deb.sha256) for deb in record.packages} if record else {}
        installed = read_installed(contents.status, contents.copyrights, digests)
    epoch = record.epoch if record else claim.epoch
    return PackageInput(
        image=image.raw,
        sbom=Sbom(
            image.name,
            recipe.title,
            version,
            recipe.suite,
            epoch,
            image.sha256,
            supplier,
            installed,
        ),
        hardware=Hardware(
            board.name, recipe.title, recipe.architecture.value, tuple(recipe.features), tuple(recipe.imager)
        ),
        report=report,
        reports={suffix: texts[suffix] for suffix in REPORTS} if report else {},
        listing=texts[".packages"],
        areas=contents.areas,
        unused=contents.unused,
        record=record,
        commit=_find_commit(boards, board, record) if record else None,
    )


def _check_name(image: OpenImage, allowed: str) -> None:
    """Raise RecipeError if the name of an image file differs from that of its package."""
    if image.name != allowed:
        raise RecipeError(
            f"{image.path}: found the name {image.name}; expected {allowed}, from the image's os-release",
            hint="rename the image file and the files beside it",
        )


def _read_beside(image: OpenImage, *, unverified: bool) -> dict[str, str]:
    """Return the texts of the files beside an image by suffix."""
    paths = {suffix: image.path.with_name(f"{image.name}{suffix}") for suffix in BESIDE}
    needed = [path for suffix, path in paths.items() if not (unverified and suffix in REPORTS)]
    missing = [path.name for path in needed if not path.is_file()]
    if missing:
        raise VerifyError(
            f"{image.path} has no {', '.join(missing)} beside it",
            hint=f"a build makes these; `boardwright verify {image.path}` makes the reports too; --unverified "
            "does not need reports",
        )
    return {suffix: read_text(path, within=path.parent) for suffix, path in paths.items() if path.is_file()}


def _find_report(texts: Mapping[str, str], image: OpenImage, *, unverified: bool) -> SpecReport | None:
    """Return the report; None if the image is packaged without one."""
    if unverified and not all(suffix in texts for suffix in REPORTS):
        return None
    report = read_report(texts[".specs.json"], f"{image.name}.specs.json")
    return None if unverified and find_fault(report, image.sha256) else report


def _find_record(image: OpenImage) -> Record | None:
    """Return the build record of this image; None, with a warning, if it is missing or of another image."""
    path = image.path.with_name(f"{image.name}{SUFFIX}")
    without = "the SBOM and provenance will have no digests of packages, archives and tools"
    if not path.is_file():
        log.warn(f"{path.name} is missing: {without}")
        return None
    record = read_record(read_text(path, within=path.parent), path.name)
    if record.image_sha256 != image.sha256:
        log.warn(f"{path.name} is of another image and ignored: {without}")
        return None
    return record


def _find_commit(boards: Path, board: Board, record: Record) -> SourceCommit | None:
    """Return the commit of the recipe, if it is checked out without changes and gives the plan of the build."""
    if not is_of_plan(record, make_plan(board, version=record.version, epoch=record.epoch, user_data=None)):
        log.note("the recipe differs from the one that was built: the provenance names no commit")
        return None
    head, changed = _git(boards, "rev-parse", "HEAD"), _git(boards, "status", "--porcelain", "--", ".")
    if not head or changed:
        log.note("the boards are not in a git checkout, or have changes: the provenance names no commit")
        return None
    return SourceCommit(_without_credentials(_git(boards, "remote", "get-url", "origin")), head)


def _without_credentials(url: str) -> str:
    """Return a URL without parts that may be secret: user, password (which may have an @), query and fragment."""
    return re.sub(r"[?#].*", "", re.sub(r"//.*@", "//", url))


def _git(directory: Path, *arguments: str) -> str:
    answer = call_git(directory, *arguments)
    return answer.stdout.strip() if answer.code == 0 else ""


def _show(directory: Path, packaged: PackagedImage, signers: Signers, *, json: bool) -> None:
    rows = [file.model_dump() for file in packaged.files]
    data = {"directory": str(directory), "signed": list(signers.names), "files": rows}
    log.emit(log.Event("result", packaged.name, data))
    if not json:
        images = ", ".join(
            f"{file.name} {render_size(file.size_bytes)}" for file in packaged.files if file.role == "image"
        )
        print_line(f"{directory}  {images}  {' and '.join(signers.names) or 'not signed'}")
