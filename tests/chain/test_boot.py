# SPDX-License-Identifier: MIT
"""The built images boot: Arm ones with the booted level, the quick one on a terminal, here and in a container."""

from __future__ import annotations

import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pexpect
import pytest

from builder.engine.docker.connect import open_engine
from builder.engine.docker.container import find_orphans
from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.verify.live.kernel_log import find_trouble
from builder.verify.live.target import booted
from tests.chain.conftest import EPOCH, VERSION, Built, verify
from tests.conftest import ROOT
from tests.support.selection import IS_WHOLE

pytestmark = [pytest.mark.boot, pytest.mark.machine, pytest.mark.engine, pytest.mark.slow]

ONE_START = ("--only", "not restart_spec and not power_cut_spec")
"""Emulated machines take minutes to start; the restart of a system is asked of qemu-amd64 in every run."""
FEWEST = 100 if IS_WHOLE else 90
"""Specs on the board that has fewest, of the booted level or of one start; of that `qemu-arm64` has 92."""


@pytest.mark.boards
@pytest.mark.parametrize("board", ["qemu_arm64", pytest.param("rpi_to_start", id="rpi", marks=pytest.mark.whole)])
def test_a_booted_image_is_what_its_recipe_promises(board: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    built: Built = request.getfixturevalue(board)
    own = ("--user-data", request.getfixturevalue("user_data"))
    verdicts = verify(tmp_path, built.file(".img"), "--boot", *own, *(() if IS_WHOLE else ONE_START))
    assert len(verdicts) > FEWEST
    assert (verdicts[-1]["file"] == "power_cut_spec.py") is IS_WHOLE


@pytest.mark.boards
def test_an_emulated_raspberry_pi_comes_up_as_far_as_ssh(rpi_to_start: Built, tmp_path: Path) -> None:
    """No more in every run: its cores take turns, so that the booted level costs twice what it does of qemu-arm64."""
    plan = make_plan(load_board(ROOT / "boards", rpi_to_start.board), version=VERSION, epoch=int(EPOCH))
    with booted(plan, rpi_to_start.file(".img"), tmp_path) as system:
        assert system.machine
        console = system.machine.console.splitlines()
    assert any("Machine model: Raspberry Pi 3 Model B" in line for line in console)
    assert find_trouble(console, emulated=True) == []


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
        while not asked.done():  # A machine whose console is not read stands still.
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
