# SPDX-License-Identifier: MIT
"""The built images boot: Arm ones with the booted level, the quick one as a real board and on a terminal."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pexpect
import pytest

from builder.engine.connect import open_engine
from builder.engine.container import find_orphans
from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.verify.bench import Reach, Running, opened_bench
from builder.verify.login import Login, make_login
from builder.verify.qemu.machine import Machine, started
from builder.verify.qemu.watch import wait_for_ssh
from tests.chain.conftest import EPOCH, VERSION, Built, boardwright
from tests.chain.selection import IS_WHOLE
from tests.chain.upgrade import opened_shelf, upgrade_kernel
from tests.conftest import ROOT

pytestmark = [pytest.mark.boot, pytest.mark.machine, pytest.mark.engine, pytest.mark.slow]

WHOLE = ("qemu-arm64", "rpi")
"""Boards that are asked by the whole of the booted level."""
ONE_START = ("--only", "not restart_spec and not power_cut_spec")
"""An emulated Raspberry Pi takes minutes to start; the restart of a system is asked of qemu-amd64 in every run."""
FEWEST = 100 if IS_WHOLE else 90
"""Specs on the board that has fewest, of the booted level or of one start; of that `rpi` has 94."""


def verify(place: Path, image: Path, *options: str | Path) -> list[dict[str, str]]:
    """Run `boardwright verify` and return the verdicts of the booted level; all of them are green."""
    done = boardwright("verify", image, "--json", "--state", place / "verify", "--report", place, *options)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    problems = [event["text"] for event in events if event["kind"] == "error"]
    assert done.returncode == 0, "\n".join(problems) or done.stderr
    report = next(event for event in events if event["kind"] == "result")["data"]
    assert not list((place / "verify").glob("*/*"))
    booted = ("booted", "kernel_runs", "network_runs", "docker_runs", "restart", "power_cut")
    return [verdict for verdict in report["verdicts"] if verdict["file"].removesuffix("_spec.py") in booted]


@pytest.mark.boards
@pytest.mark.parametrize("board", ["rpi", pytest.param("qemu_arm64", marks=pytest.mark.whole)])
def test_a_booted_image_is_what_its_recipe_promises(board: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    built: Built = request.getfixturevalue(board)
    image = next(path for path in built.artefacts if ".img" in path.suffixes and path.suffix != ".sha256")
    verdicts = verify(tmp_path, image, "--boot", *(() if IS_WHOLE else ONE_START))
    assert len(verdicts) > FEWEST
    assert (verdicts[-1]["file"] == "power_cut_spec.py") is IS_WHOLE


@pytest.fixture(scope="module")
def machine(qemu_amd64: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Login]]:
    work = tmp_path_factory.mktemp("board")
    plan = make_plan(load_board(ROOT / "boards", qemu_amd64.board), version=VERSION, epoch=int(EPOCH))
    login = make_login(plan, work)
    with started(plan, qemu_amd64.file(".img"), work=work, user_data=login.user_data) as machine:
        wait_for_ssh(machine)
        yield machine, login


@pytest.mark.boards
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


@pytest.mark.boards
@pytest.mark.whole
def test_a_kernel_upgrade_keeps_a_system_with_uefi_starting(machine: tuple[Machine, Login], tmp_path: Path) -> None:
    running, login = machine
    reach = Reach(login.user, "127.0.0.1", running.ssh_port, str(login.key), fleeting=True)
    with (
        opened_shelf(tmp_path / "shelf") as shelf,
        opened_bench(Running(reach, login.hostname, running), tmp_path) as bench,
    ):
        upgrade_kernel(bench, shelf, "amd64", "/boot/efi/loader/entries/*.conf")


def test_a_container_boots_an_image_and_lets_ssh_in(qemu_amd64: Built, tmp_path: Path) -> None:
    words = ["-m", "builder", "boot", str(qemu_amd64.file(".img")), "--engine", "docker", "--state", str(tmp_path)]
    terminal = pexpect.spawn(
        sys.executable, words, cwd=str(ROOT), timeout=900, encoding="utf-8", codec_errors="replace"
    )
    terminal.expect(r"ssh -p \d+ .*pirate@127\.0\.0\.1")
    ssh = shlex.split(str(terminal.after))
    terminal.expect("login:")
    with ThreadPoolExecutor() as pool:
        # Until the Docker Engine of the system has its bridge, which has the address of the one that ssh comes through.
        words = [*ssh, "systemctl is-system-running --wait; uname -m"]
        asked = pool.submit(subprocess.run, words, capture_output=True, text=True, timeout=600)
        while not asked.done():  # A machine whose console nobody reads stands still.
            terminal.expect(["\n", pexpect.TIMEOUT], timeout=1)
    assert asked.result().stdout == "running\nx86_64\n", asked.result().stderr
    terminal.send("\x01x")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert not list(tmp_path.glob("*/*"))
    with open_engine() as api:
        assert not find_orphans(api, tmp_path)


def test_an_image_boots_on_a_terminal_and_leaves_nothing(qemu_amd64: Built, tmp_path: Path) -> None:
    words = ["-m", "builder", "boot", str(qemu_amd64.file(".img")), "--state", str(tmp_path)]
    terminal = pexpect.spawn(
        sys.executable, words, cwd=str(ROOT), timeout=300, encoding="utf-8", codec_errors="replace"
    )
    terminal.expect(r"ssh -p \d+ .*pirate@127\.0\.0\.1")
    terminal.expect("Linux version|login:")
    terminal.send("\x01x")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert not list(tmp_path.glob("*/*"))
