# SPDX-License-Identifier: MIT
"""What QEMU may do of what an image could make it do."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from builder.system.process import run
from builder.verify.live.qemu import command, confine
from builder.verify.live.qemu.command import make_command
from tests.conftest import ROOT
from tests.support.qemu_images import plan_of
from tests.support.wait import wait_until

ALL = "000001ffffffffff"
CONTAINER = "00000000a80425fb"
"""What Docker leaves to root: CHOWN … SETGID, SETUID … of capabilities(7)."""
Become = Callable[[int, str], None]


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Become:
    """Be another user, with the rights of a line of /proc/self/status."""

    def become(user: int, rights: str) -> None:
        status = tmp_path / "status"
        status.write_text(f"Name:\tx\nCapPrm:\t{ALL}\nCapEff:\t{rights}\nCapBnd:\t{ALL}\n")
        monkeypatch.setattr(os, "geteuid", lambda: user)
        monkeypatch.setattr(confine, "STATUS", status)

    return become


def make_options(tmp_path: Path, board: str = "qemu-arm64", *, interactive: bool = False) -> dict[str, str]:
    argv = make_command(
        plan_of(board), tmp_path / "card", work=tmp_path, console=tmp_path / "log", ssh_port=1, interactive=interactive
    )
    return dict(pairwise(argv))


@pytest.fixture(autouse=True)
def _no_firmware(monkeypatch: pytest.MonkeyPatch) -> None:
    for firmware in command.FIRMWARE:
        monkeypatch.setitem(command.FIRMWARE, firmware, lambda *_: [])


@pytest.mark.parametrize("interactive", [True, False])
@pytest.mark.parametrize("board", ["qemu-amd64", "qemu-arm64", "rpi", "orangepi-pc", "qemu-riscv64"])
def test_every_machine_runs_in_a_sandbox(tmp_path: Path, become: Become, board: str, interactive: bool) -> None:
    become(1000, "0" * 16)
    options = make_options(tmp_path, board, interactive=interactive)
    assert options["-sandbox"] == "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    assert not {"-runas", "-run-with"} & set(options)


@pytest.mark.parametrize("rights", [ALL, CONTAINER])
@pytest.mark.parametrize(
    ("version", "option", "value"),
    [((7, 2), "-runas", "nobody"), ((9, 0), "-runas", "nobody"), ((9, 1), "-run-with", "user=nobody")],
)
def test_root_takes_another_user(
    tmp_path: Path,
    become: Become,
    monkeypatch: pytest.MonkeyPatch,
    rights: str,
    version: tuple[int, int],
    option: str,
    value: str,
) -> None:
    monkeypatch.setattr(confine, "_find_version", lambda _: version)
    become(0, rights)
    options = make_options(tmp_path)
    assert options[option] == value
    assert options["-sandbox"] == "on,obsolete=deny,elevateprivileges=allow,spawn=deny,resourcecontrol=deny"


@pytest.mark.parametrize(
    ("user", "rights"),
    [
        (0, "0" * 16),  # a container that has none
        (0, "0000000000000040"),  # SETGID alone
        (0, "0000000000000080"),  # SETUID alone
        (0, ""),  # no line that can be read
        (1000, ALL),
    ],
)
def test_who_may_not_take_another_user_does_not_try(tmp_path: Path, become: Become, user: int, rights: str) -> None:
    """QEMU would not start."""
    become(user, rights)
    options = make_options(tmp_path)
    assert not {"-runas", "-run-with"} & set(options)
    assert "elevateprivileges=deny" in options["-sandbox"]


def test_a_machine_without_that_user(tmp_path: Path, become: Become, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> object:
        raise KeyError(name)

    become(0, ALL)
    monkeypatch.setattr(pwd, "getpwnam", refuse)
    assert not {"-runas", "-run-with"} & set(make_options(tmp_path))


@pytest.mark.boot
def test_qemu_knows_these_options(tmp_path: Path) -> None:
    """It stops at once, at the first command of its monitor."""
    options = [
        *confine.confine("qemu-system-x86_64"),
        "-machine",
        "none",
        "-display",
        "none",
        "-S",
        "-monitor",
        "stdio",
    ]
    done = run(["qemu-system-x86_64", *options], stdin=b"info status\nquit\n", timeout_s=30)
    assert "VM status: paused" in done.stdout


CUTTER = """
import sys, time
from pathlib import Path
from builder.verify.live.qemu.confine import confine
from builder.verify.live.ssh import LiveSystem, Running, SshAddress
from builder.verify.live.qemu import machine as module
from contextlib import ExitStack
work = Path(sys.argv[1])
qemu = "qemu-system-x86_64"
words = [qemu, *confine(qemu), "-machine", "none", "-display", "none", "-S", "-monitor", "none", "-serial", "none"]
machine = module.Machine(tuple(words), str(work / "console.log"), 1)
with module.switched_on(machine, work) as first, ExitStack() as later:
    live = LiveSystem(Running(SshAddress("pirate", "127.0.0.1"), "board", first), work, work / "ssh", later)
    live._wait = lambda up: print(live.machine.pid, flush=True) or time.sleep(60)
    live.cut_power()
"""


@pytest.mark.boot
@pytest.mark.skipif(os.geteuid() != 0, reason="only root's QEMU takes another user")
def test_a_machine_that_was_started_again_ends_with_the_specs_however_they_end(tmp_path: Path) -> None:
    """Their process is killed; QEMU's parent-death signal is gone, as it has taken another user."""
    with subprocess.Popen([sys.executable, "-c", CUTTER, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) as specs:
        assert specs.stdout
        process = Path("/proc", specs.stdout.readline().decode().strip())
        try:
            wait_until(lambda: process.stat().st_uid == pwd.getpwnam(confine.USER).pw_uid, "QEMU is still root")
        finally:
            specs.kill()
    try:
        wait_until(lambda: not process.exists() or "State:\tZ" in (process / "status").read_text(), "QEMU goes on")
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(process.name), signal.SIGKILL)


def test_a_version_is_read_from_what_qemu_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "qemu-system-test"
    program.write_text("#!/bin/sh\necho 'QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert confine._find_version(str(program)) == (10, 0)
    monkeypatch.setattr(confine, "may_change_user", lambda: True)
    assert confine.confine(program.name)[2:] == ["-run-with", "user=nobody"]
    older = tmp_path / "older"
    older.mkdir()
    (older / program.name).write_text("#!/bin/sh\necho 'QEMU emulator version 7.2.19'\n")
    (older / program.name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{older}:{os.environ['PATH']}")
    assert confine.confine(program.name)[2:] == ["-runas", "nobody"], "the program is asked that would be started"
    assert confine.confine("qemu-system-none")[2:] == ["-run-with", "user=nobody"]
