# SPDX-License-Identifier: MIT
"""A machine that runs is asked by ssh as a real board is, and keeps starting with another kernel.

A module of its own: the machine is switched off before others start.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.verify.bench import Reach, Running, opened_bench
from builder.verify.login import Login, make_login
from builder.verify.qemu.machine import Machine, started
from builder.verify.qemu.watch import wait_for_ssh
from tests.chain.conftest import EPOCH, VERSION, Built, verify
from tests.chain.upgrade import opened_shelf, upgrade_kernel
from tests.conftest import ROOT

pytestmark = [pytest.mark.boards, pytest.mark.boot, pytest.mark.machine, pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def machine(qemu_amd64: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Login]]:
    work = tmp_path_factory.mktemp("board")
    plan = make_plan(load_board(ROOT / "boards", qemu_amd64.board), version=VERSION, epoch=int(EPOCH))
    login = make_login(plan, work)
    with started(plan, qemu_amd64.file(".img"), work=work, user_data=login.user_data) as machine:
        wait_for_ssh(machine)
        yield machine, login


def test_a_board_that_runs_is_asked_by_ssh(
    machine: tuple[Machine, Login], qemu_amd64: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, login = machine
    host = f"ssh://{login.user}@127.0.0.1:{running.ssh_port}"
    # The answer to an unknown host key is the user's to give, in a configuration that ssh finds by itself.
    answer = f"-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={tmp_path}/known_hosts"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {answer} "$@"\n')
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    verdicts = verify(
        tmp_path, qemu_amd64.file(".img"), "--host", host, "--identity", login.key, "--user-data", login.user_data
    )
    files = {verdict["file"] for verdict in verdicts}
    assert "restart_spec.py" in files
    assert "power_cut_spec.py" not in files


@pytest.mark.whole
def test_a_kernel_upgrade_keeps_a_system_with_uefi_starting(machine: tuple[Machine, Login], tmp_path: Path) -> None:
    running, login = machine
    reach = Reach(login.user, "127.0.0.1", running.ssh_port, str(login.key), fleeting=True)
    with (
        opened_shelf(tmp_path / "shelf") as shelf,
        opened_bench(Running(reach, login.hostname, running), tmp_path) as bench,
    ):
        upgrade_kernel(bench, shelf, "amd64", "/boot/efi/loader/entries/*.conf")
