# SPDX-License-Identifier: MIT
"""Verify an image: identify its board, run the specs, write the report.

DIRECTORY/<name>.specs.json    all verdicts
DIRECTORY/<name>.specs.xml     the same for CI systems, as JUnit XML
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from builder import log
from builder.disk.image_file import OpenImage, open_image
from builder.disk.partitions import read_whole_table
from builder.disk.region import Region
from builder.disk.unpack import unpack
from builder.errors import MachineError, RecipeError, VerifyError, disk_full_as_space_error
from builder.filesystems.table import DRIVERS, detect_filesystem
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import list_boards, load_board
from builder.system.atomic import write_replaced
from builder.system.workspace import RELEASERS, Workspace, open_journal
from builder.units import KIB
from builder.verify.facts.image import ImageFacts
from builder.verify.live.ssh import check_reach
from builder.verify.live.target import booted, find_board
from builder.verify.report import Report, check_report, render_json
from builder.verify.runner import run_specs, running_specs
from builder.verify.task import Task

CLAIM_BYTES = 64 * KIB
BOARD_LINE = re.compile(r'^BOARDWRIGHT_BOARD="?(.*?)"?$', re.MULTILINE)
VERSION_LINE = re.compile(r'^IMAGE_VERSION="?(.*?)"?$', re.MULTILINE)
CLAIMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
REBUILD = "build the image again, or name its recipe with --board"


@dataclass(frozen=True)
class Claim:
    """Board, version and time that an image claims; empty or 0 if it claims none."""

    board: str
    version: str
    epoch: int


@dataclass(frozen=True)
class VerifyOptions:
    """Options of a verification. Paths are absolute."""

    boards: Path
    board: str = ""
    """The recipe to compare with; "" takes the board that the image claims."""
    user_data: Path | None = None
    levels: Sequence[str] = ("offline",)
    only: str = ""
    reports: Path | None = None
    """Directory of the report; None: that of the image."""
    boot: bool = False
    """Boot a copy in QEMU and verify the running system too (level booted)."""
    host: str = ""
    """Verify a running board instead: ssh://user@address:port."""
    identity: Path | None = None
    """The ssh key for `host`."""
    enter: Callable[[Path, str], Sequence[str]] | None = None
    """(tree, architecture) → argv prefix that starts a command in the tree, for the level chroot."""


def verify_artefact(path: Path, options: VerifyOptions, state: Path) -> Report:
    """Run the specs on an image file, compressed or not, and write the report.

    state  directory for journals and for the unpacked image

    Raises RecipeError (unknown board), VerifyError (no disk image, or a damaged one), MachineError, ToolError,
    SpaceError.
    """
    reports = options.reports or path.resolve().parent
    if not os.access(reports, os.W_OK):
        raise RecipeError(f"the report cannot be written to {reports}", hint="name another directory with --report")
    with open_scratch(state, "verify") as scratch, open_image(path, scratch) as image:
        task = make_task(image, options, scratch)
        if "chroot" in task.levels and options.enter:
            task = replace(task, chroot=_prepare_chroot(task, options.enter))
        with _asked(task, options) as task, log.step(f"specs: {', '.join(task.levels)}"):
            report = run_specs(task, only=options.only, log_file=scratch / "specs.log")
        write_reports(report, scratch, reports / image.name)
    return report


@contextmanager
def _asked(task: Task, options: VerifyOptions) -> Iterator[Task]:
    """Yield the task, with a running system if the options ask for one."""
    if options.host:
        running = find_board(options.host, options.identity, task.plan)
        check_reach(running.reach)
        yield replace(task, levels=("booted",), running=running)
    elif options.boot:
        with booted(task.plan, Path(task.image), Path(task.scratch)) as running:
            yield replace(task, levels=(*task.levels, "booted"), running=running)
    else:
        yield task


@contextmanager
def open_scratch(state: Path, name: str) -> Iterator[Path]:
    """Yield a scratch directory. A journal names it, and it is removed at the end."""
    with open_journal(state, name, RELEASERS) as journal:
        path = state / "scratch" / journal.path.stem
        with journal.holding("directory", path):
            path.mkdir(parents=True)
            yield path


@contextmanager
def verifying(
    plan: Plan, image: Path, workspace: Workspace, *, packages: str
) -> Iterator[Callable[[str], tuple[Path, Path]]]:
    """Start the offline specs on the disk of a build. Yield a function (digest of the image) → paths of the reports.

    The function waits for the end of the specs and raises VerifyError if a spec fails.

    packages  the build's list of packages, as it is published
    """
    scratch = workspace.scratch / "specs"
    scratch.mkdir()
    listing = scratch / "packages"
    listing.write_text(packages, encoding="utf-8")
    task = Task(
        plan=plan,
        image=str(image),
        name=image.name,
        packages=str(listing),
        scratch=str(scratch),
    )
    with running_specs(task, log_file=workspace.log_file) as finish_specs:

        def finish(digest: str) -> tuple[Path, Path]:
            with log.step("specs: offline"):
                report = finish_specs(digest)
                check_report(report, hint=f"the full log is {workspace.log_file}")
            log.note(report.summary)
            return write_reports(report, scratch, scratch / image.name.removesuffix(".img"))

        yield finish


def _prepare_chroot(task: Task, enter: Callable[[Path, str], Sequence[str]]) -> tuple[str, ...]:
    """Unpack the root filesystem and return the argv prefix that starts a command in it."""
    if os.geteuid() != 0:
        raise MachineError(
            "--level chroot: only root may start programs in a chroot",
            hint="run it as root, or with --level offline",
        )
    plan, tree = task.plan, Path(task.scratch) / "root"
    root = next(slot for slot in plan.disk.slots if slot.mount == "/")
    tree.mkdir()
    with log.step("unpack the root filesystem"):
        region = ImageFacts(Path(task.image), plan, tree).place(root)
        unpack(DRIVERS[root.filesystem].read_entries(region, "/"), tree)
    return tuple(enter(tree, plan.recipe.architecture.value))


def make_task(image: OpenImage, options: VerifyOptions, scratch: Path) -> Task:
    """Return the task for an opened image. Board and version are those that the image claims or that options name."""
    claim = read_claim(image.raw)
    board = options.board or claim.board
    if not board:
        raise RecipeError(
            f"{image.path.name}: os-release has no BOARDWRIGHT_BOARD; expected the name of a board",
            hint="name the recipe with --board BOARD",
        )
    if board not in (known := list_boards(options.boards)):
        raise RecipeError(
            f"{image.path.name}: board {board} is not in {options.boards}; expected one of {', '.join(known)}",
            hint="name the recipe with --board, or another directory with --boards",
        )
    plan = make_plan(
        load_board(options.boards, board),
        version=claim.version or "unknown",
        epoch=claim.epoch,
        user_data=options.user_data,
    )
    packages = image.path.parent / f"{image.name}.packages"
    return Task(
        plan=plan,
        image=str(image.raw),
        name=image.path.name,
        digest=image.sha256,
        packages=str(packages) if packages.is_file() else "",
        scratch=str(scratch),
        levels=tuple(options.levels),
    )


def read_claim(raw: Path) -> Claim:
    """Return board and version of the image's os-release, and the time of its build.

    Raises VerifyError if the file is not a disk image.
    """
    release, epoch = b"", 0
    for partition in read_whole_table(raw).partitions:
        region = Region(raw, partition.offset_bytes)
        name = detect_filesystem(region)
        if name is None:
            continue
        read = DRIVERS[name].read_file
        if not name.row.keeps_owners:
            file = read(region, "/os-release", CLAIM_BYTES)
            release = release or (file[0] if file else b"")
            continue
        file, clock = read(region, "/etc/os-release", CLAIM_BYTES), read(region, "/usr/lib/clock-epoch", 0)
        release, epoch = release or (file[0] if file else b""), epoch or (clock[1] if clock else 0)
    return Claim(_find_value(BOARD_LINE, release), _find_value(VERSION_LINE, release), epoch)


def _find_value(line: re.Pattern[str], release: bytes) -> str:
    """Return a value of os-release; VerifyError if it cannot be a board's name or a version."""
    match = line.search(release.decode("utf-8", "replace"))
    if match and match[1] and not CLAIMED.fullmatch(match[1]):
        raise VerifyError(
            f"the image's os-release has the line {match[0][:80]!r}; expected letters, digits and . _ + -", hint=REBUILD
        )
    return match[1] if match else ""


def write_reports(report: Report, scratch: Path, base: Path) -> tuple[Path, Path]:
    """Write the JSON and pytest's XML beside each other; `base` is their path without .specs.json."""
    as_json, as_xml = (base.with_name(f"{base.name}.specs.{kind}") for kind in ("json", "xml"))
    with disk_full_as_space_error(as_json):
        write_replaced(as_json, render_json(report).encode(), is_locked=False, durable=False)
        write_replaced(as_xml, (scratch / "results.xml").read_bytes(), is_locked=False, durable=False)
    return as_json, as_xml
