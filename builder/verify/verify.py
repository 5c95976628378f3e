# SPDX-License-Identifier: MIT
"""Verifies an image: finds out what it is, runs the specs on it, leaves a report.

DIRECTORY/<name>.specs.json    every verdict
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
from builder.disk.ext4 import is_ext4, read_ext4, read_ext4_file
from builder.disk.fat import is_fat32, read_fat_file
from builder.disk.image_file import Found, opened
from builder.disk.partitions import read_whole_table
from builder.disk.region import Region
from builder.disk.unpack import unpack
from builder.errors import MachineError, RecipeError, VerifyError, disk_full_as_space_error
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import list_boards, load_board
from builder.system.atomic import write_replaced
from builder.system.workspace import RELEASERS, Workspace, open_journal
from builder.units import KIB
from builder.verify.facts.image import Subject
from builder.verify.live.ssh import check_reach
from builder.verify.live.target import booted, find_board
from builder.verify.report import Report, check_report, render_json
from builder.verify.runner import run_specs, running_specs
from builder.verify.task import Task

CLAIM_BYTES = 64 * KIB
BOARD_LINE = re.compile(r'^BOARDWRIGHT_BOARD="?(.*?)"?$', re.MULTILINE)
VERSION_LINE = re.compile(r'^IMAGE_VERSION="?(.*?)"?$', re.MULTILINE)
CLAIMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
REBUILD = "build it again, or name the recipe with --board if the image is of something else"


@dataclass(frozen=True)
class Claim:
    """What an image says it is; empty where it says nothing."""

    board: str
    version: str
    epoch: int


@dataclass(frozen=True)
class Wish:
    """How an image is to be verified. Paths are absolute."""

    boards: Path
    board: str = ""
    """The recipe to compare with; what the image says it is without."""
    user_data: Path | None = None
    levels: Sequence[str] = ("offline",)
    only: str = ""
    reports: Path | None = None
    """Where the report goes; beside the image without."""
    boot: bool = False
    """Boot a copy in QEMU and ask it too (level booted)."""
    host: str = ""
    """Ask a board that runs instead: ssh://user@address:port."""
    identity: Path | None = None
    """The key for it."""
    enter: Callable[[Path, str], Sequence[str]] | None = None
    """(tree, architecture) → the words that start a command in the tree, for the level chroot."""


def verify_artefact(path: Path, wish: Wish, state: Path) -> Report:
    """Run the specs on an image file, compressed or not, and write the report.

    state  directory of journals, and of what is unpacked

    Raises RecipeError (no such board), VerifyError (no disk image, damaged), MachineError, ToolError, SpaceError.
    """
    reports = wish.reports or path.resolve().parent
    if not os.access(reports, os.W_OK):
        raise RecipeError(f"the report cannot be written to {reports}", hint="name another directory with --report")
    with open_scratch(state, "verify") as scratch, opened(path, scratch) as found:
        task = make_task(found, wish, scratch)
        if "chroot" in task.levels and wish.enter:
            task = replace(task, chroot=_prepare_chroot(task, wish.enter))
        with _asked(task, wish) as task, log.step(f"specs: {', '.join(task.levels)}"):
            report = run_specs(task, only=wish.only, log_file=scratch / "specs.log")
        write_reports(report, scratch, reports / found.name)
    return report


@contextmanager
def _asked(task: Task, wish: Wish) -> Iterator[Task]:
    """Yield the task with the running system that the wish is about, if it is about one."""
    if wish.host:
        running = find_board(wish.host, wish.identity, task.plan)
        check_reach(running.reach)
        yield replace(task, levels=("booted",), running=running)
    elif wish.boot:
        with booted(task.plan, Path(task.image), Path(task.scratch)) as running:
            yield replace(task, levels=(*task.levels, "booted"), running=running)
    else:
        yield task


@contextmanager
def open_scratch(state: Path, name: str) -> Iterator[Path]:
    """Yield a directory that is in a journal, and removed at the end."""
    with open_journal(state, name, RELEASERS) as journal:
        path = state / "scratch" / journal.path.stem
        with journal.holding("directory", path):
            path.mkdir(parents=True)
            yield path


@contextmanager
def verifying(
    plan: Plan, image: Path, workspace: Workspace, *, packages: str
) -> Iterator[Callable[[str], tuple[Path, Path]]]:
    """Start the offline specs on the disk of a build. Yield a function that waits for their end, (digest of the
    image): the reports. It raises VerifyError when a spec is red.

    packages  the build's list of packages, as it is handed out
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
                check_report(report, hint=f"the whole story is in {workspace.log_file}")
            log.note(report.summary)
            return write_reports(report, scratch, scratch / image.name.removesuffix(".img"))

        yield finish


def _prepare_chroot(task: Task, enter: Callable[[Path, str], Sequence[str]]) -> tuple[str, ...]:
    """Unpack the root filesystem and return the words that start a command in it."""
    if os.geteuid() != 0:
        raise MachineError(
            "the level chroot runs programs of the image in a tree, which only root may",
            hint="run it as root, or with --level offline",
        )
    plan, tree = task.plan, Path(task.scratch) / "root"
    root = next(slot for slot in plan.disk.slots if slot.mount == "/")
    tree.mkdir()
    with log.step("unpack the root filesystem"):
        unpack(read_ext4(Subject(Path(task.image), plan, tree).place(root)), tree)
    return tuple(enter(tree, plan.recipe.architecture.value))


def make_task(found: Found, wish: Wish, scratch: Path) -> Task:
    """Return the task for an opened image: board and version are what the image says, or what was asked for."""
    claim = read_claim(found.raw)
    board = wish.board or claim.board
    if not board:
        raise RecipeError(
            f"{found.path.name} does not say which board it is for", hint="name the recipe with --board BOARD"
        )
    if board not in (known := list_boards(wish.boards)):
        raise RecipeError(
            f"{found.path.name} is for the board {board}, which {wish.boards} does not have; it has {', '.join(known)}",
            hint="name the recipe with --board, or another directory with --boards",
        )
    plan = make_plan(
        load_board(wish.boards, board),
        version=claim.version or "unknown",
        epoch=claim.epoch,
        user_data=wish.user_data,
    )
    packages = found.path.parent / f"{found.name}.packages"
    return Task(
        plan=plan,
        image=str(found.raw),
        name=found.path.name,
        digest=found.sha256,
        packages=str(packages) if packages.is_file() else "",
        scratch=str(scratch),
        levels=tuple(wish.levels),
    )


def read_claim(raw: Path) -> Claim:
    """Return what the image's os-release says, and the time of its newest file; VerifyError for no disk image."""
    release, epoch = b"", 0
    for partition in read_whole_table(raw).partitions:
        place = Region(raw, partition.offset_bytes)
        if is_fat32(place):
            release = release or read_fat_file(place, "os-release", limit=CLAIM_BYTES) or b""
        elif is_ext4(place):
            found = read_ext4_file(place, "/etc/os-release", limit=CLAIM_BYTES)
            clock = read_ext4_file(place, "/usr/lib/clock-epoch", limit=0)
            release, epoch = release or (found[0] if found else b""), epoch or (clock[1] if clock else 0)
    return Claim(_find_value(BOARD_LINE, release), _find_value(VERSION_LINE, release), epoch)


def _find_value(line: re.Pattern[str], release: bytes) -> str:
    """Return a value of os-release; VerifyError for one that can be no name of a board and no version."""
    found = line.search(release.decode("utf-8", "replace"))
    if found and found[1] and not CLAIMED.fullmatch(found[1]):
        raise VerifyError(f"the image's os-release has the line {found[0][:80]!r}, which it cannot have", hint=REBUILD)
    return found[1] if found else ""


def write_reports(report: Report, scratch: Path, base: Path) -> tuple[Path, Path]:
    """Write the JSON and move pytest's XML beside it; `base` is their path without .specs.json."""
    as_json, as_xml = (base.with_name(f"{base.name}.specs.{kind}") for kind in ("json", "xml"))
    with disk_full_as_space_error(as_json):
        write_replaced(as_json, render_json(report).encode(), is_locked=False, durable=False)
        write_replaced(as_xml, (scratch / "results.xml").read_bytes(), is_locked=False, durable=False)
    return as_json, as_xml
