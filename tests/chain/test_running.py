# SPDX-License-Identifier: MIT
"""A machine that runs is asked by ssh as a real board is, and keeps starting with another kernel.

A module of its own: the machine is switched off before others start.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.verify.live.qemu.machine import Machine
from builder.verify.live.ssh import Running, open_live_system
from builder.verify.live.target import booted
from tests.chain.conftest import EPOCH, VERSION, Built, verify
from tests.conftest import ROOT
from tests.support.upgrade import opened_shelf, upgrade_kernel

pytestmark = [pytest.mark.boards, pytest.mark.boot, pytest.mark.machine, pytest.mark.engine, pytest.mark.slow]


@dataclass(frozen=True)
class Board:
    """A machine that runs, and the user-data that it was given."""

    running: Running
    user_data: Path


@pytest.fixture(scope="module")
def board(qemu_amd64: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    scratch = tmp_path_factory.mktemp("board")
    plan = make_plan(load_board(ROOT / "boards", qemu_amd64.board), version=VERSION, epoch=int(EPOCH))
    with booted(plan, qemu_amd64.file(".img"), scratch) as running:
        yield Board(running, scratch / "user-data")


@contextmanager
def console_shown(machine: Machine | None) -> Iterator[None]:
    """Show what the machine and QEMU printed with a failure: `verify` takes it for a real board, and cannot."""
    try:
        yield
    except AssertionError as error:
        if machine:
            state = "runs" if machine.is_running else "is off"
            error.add_note(f"the machine {state}; QEMU printed:\n{machine.last_words}\nits console:\n{machine.tail}")
        raise


def test_a_board_that_runs_is_asked_by_ssh(
    board: Board, qemu_amd64: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = board.running.reach
    # The answer to an unknown host key is the user's to give, in a configuration that ssh finds by itself.
    answer = f"-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={tmp_path}/known_hosts"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {answer} "$@"\n')
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    named = ("--host", reach.url, "--identity", reach.identity, "--user-data", board.user_data)
    with console_shown(board.running.machine):
        verdicts = verify(tmp_path, qemu_amd64.file(".img"), *named)
    files = {verdict["file"] for verdict in verdicts}
    assert "restart_spec.py" in files
    assert "power_cut_spec.py" not in files


@pytest.mark.whole
def test_a_kernel_upgrade_keeps_a_system_with_uefi_starting(board: Board, tmp_path: Path) -> None:
    with opened_shelf(tmp_path / "shelf") as shelf, open_live_system(board.running, tmp_path) as live:
        upgrade_kernel(live, shelf, "amd64", "/boot/efi/loader/entries/*.conf")
