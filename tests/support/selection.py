# SPDX-License-Identifier: MIT
"""The boards that a run makes and starts.

Every run takes one board of each architecture and way to boot, and every board whose files changed. The whole of them
is taken where BOARDWRIGHT_WHOLE is set: before a release, and after a change of what all boards share.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import pytest

from builder.ci.matrix import Layout, list_changes, load_kinds
from builder.ci.matrix import choose_boards as choose_changed
from builder.ci.repository import find_repository
from builder.recipe.status import load_status
from builder.system.process import run
from tests.conftest import ROOT

STATUS = load_status(ROOT / "boards")
IS_WHOLE = bool(os.environ.get("BOARDWRIGHT_WHOLE"))
ELSEWHERE = ("qemu-amd64", "qemu-arm64", "rpi")
"""Boards that test_images.py, test_boot.py and test_running.py build and start."""
EXAMPLES = (
    *("odroid-c1", "odroid-c2", "orangepi-pc", "pine64", "qemu-riscv64"),
    *("rpi-armhf", "rpi-armv6", "shieldtv"),
)
"""With those, at least one of each architecture and way to boot, and the one that starts where there is one."""
STARTED = (
    *("bananapi-m2u", "orangepi-pc", "qemu-armhf", "qemu-riscv64"),
    *("rpi-armhf", "rpi-armv6"),
)
"""Boards that QEMU starts in test_boards.py."""
STARTED_ALWAYS = ("qemu-riscv64",)
"""Those that it starts in every run, besides UPGRADED."""
UPGRADED = "orangepi-pc"
"""The board that starts with another kernel than it was made with, in every run: by the whole chain, from the ROM on.
qemu-arm64 and rpi are started by test_boot.py; of rpi, rpi-armhf and rpi-armv6 QEMU starts the kernel alone."""


def choose_boards() -> list[str]:
    """Return the boards to make and start in this run, but those of ELSEWHERE, in the order of boards/status.yaml."""
    made = [name for name, proof in STATUS.items() if name not in ELSEWHERE and proof != "planned"]
    return made if IS_WHOLE else _choose(made, EXAMPLES)


def by_commit(names: Iterable[str], *, turn: int = 0, of: int = 1) -> list[pytest.ParameterSet]:
    """Return the names as parameters of a test: all for the whole run, one for any other, another at each commit.

    Of several tests that each take long, a run makes the one whose turn it is.
    """
    ordered = sorted(names)
    commit = run(["git", "-C", ROOT, "rev-parse", "HEAD"]).stdout.strip()
    chosen = choose_one(ordered, int(commit, 16), turn=turn, of=of)
    return [pytest.param(name, marks=[] if name == chosen else [pytest.mark.whole]) for name in ordered]


def choose_one(names: Sequence[str], number: int, *, turn: int = 0, of: int = 1) -> str:
    """Return the name that a number stands for, or "" where it is another's turn."""
    return names[number // of % len(names)] if number % of == turn else ""


def choose_started() -> list[str]:
    """Return those of the chosen boards that are started."""
    return list(STARTED) if IS_WHOLE else _choose(STARTED, STARTED_ALWAYS)


def _choose(boards: Iterable[str], always: Iterable[str]) -> list[str]:
    wanted = {*always, *find_changed_boards()}
    return [name for name in boards if name in wanted]


@cache
def find_changed_boards() -> Iterable[str]:
    """Return the boards whose files, or whose ancestors' files, differ from the merge base with BOARDWRIGHT_SINCE or,
    without it, with origin/main. On origin/main itself, compare with the commit before.
    """
    repository = find_repository(ROOT / "boards")
    since = os.environ.get("BOARDWRIGHT_SINCE") or _find_upstream()
    if repository is None or not since:
        return ()
    changed = [path for path in list_changes(repository, since, "HEAD") if path.startswith("boards/")]
    return choose_changed(load_kinds(ROOT / "boards"), changed, Layout())


def _find_upstream() -> str:
    upstream = _find_commit("origin/main")
    return upstream if upstream != _find_commit("HEAD") else _find_commit("HEAD^")


def _find_commit(name: str) -> str:
    argv: list[str | Path] = ["git", "-C", ROOT, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    return run(argv, ok=(0, 1, 128)).stdout.strip()
