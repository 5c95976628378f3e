# SPDX-License-Identifier: MIT
"""Namespaces of a build: exit codes, processes that end together, and one that is killed while the others start."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from builder.rootfs.emulation import Emulation, Mode, command
from builder.rootfs.namespaces import REFUSED
from builder.system.process import run
from tests.conftest import ROOT
from tests.support.emulation import REDIRECT
from tests.support.wait import wait_until

SLEEP_S = f"86399.{os.getpid()}"
"""An argument that no process of another test has."""

INIT = """
import os, sys
from builder.rootfs import namespaces as enter
watched, life = os.pipe()
os.close(life)
sys.exit(enter._run_as_init(None, watched))
"""

WRITER = """
import os, signal
from types import SimpleNamespace
from builder.rootfs import namespaces as enter
enter.libc = SimpleNamespace(
    prctl=lambda *words: 0,
    unshare=lambda flags: os.kill(os.getpid(), signal.SIGKILL),
)
enter._leave_namespaces(private=True, network=True)
"""


def test_an_init_whose_supervisor_is_dead_prepares_nothing() -> None:
    assert subprocess.run([sys.executable, "-c", INIT], cwd=ROOT, check=False).returncode == REFUSED


def test_the_writer_of_the_identity_map_ends_with_its_supervisor() -> None:
    """Its own end of the pipe would keep it waiting; here it does not hear of the death by signal."""
    words = [sys.executable, "-c", WRITER]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, timeout=30, check=False)  # Until all have ended.
    assert done.returncode == -9


@pytest.mark.machine
class TestNamespaces:
    NATIVE = Emulation(Mode.NATIVE, "amd64", "test")

    @pytest.mark.parametrize(
        ("script", "code"), [("exit 7", 7), ("kill -TERM $$", 143), ("exec /none", 127), ("exec /etc/passwd", 126)]
    )
    def test_the_exit_code_is_that_of_the_command(self, script: str, code: int) -> None:
        run(command(self.NATIVE, ["sh", "-c", script], rootfs=Path("/")), ok=(code,))

    def test_a_command_that_is_not_there_is_told(self) -> None:
        missing = run(command(self.NATIVE, ["/none"], rootfs=Path("/")), ok=(127,))
        assert missing.stderr == "/none: No such file or directory\n"

    @pytest.mark.parametrize("private", [False, True])
    def test_host_name_and_umask_are_the_same_everywhere(self, private: bool) -> None:
        emulated = REDIRECT if private else self.NATIVE
        before = os.umask(0o077)
        try:
            seen = run(command(emulated, ["sh", "-c", "uname -n; umask"], rootfs=Path("/"))).stdout
        finally:
            os.umask(before)
        assert seen == "localhost\n0022\n"

    @pytest.mark.parametrize("private", [False, True])
    @pytest.mark.parametrize("network", [True, False])
    def test_the_network_can_be_cut_off(self, private: bool, network: bool) -> None:
        emulated = REDIRECT if private else self.NATIVE
        here = str(Path("/proc/self/ns/net").readlink())
        argv = command(emulated, ["readlink", "/proc/self/ns/net"], rootfs=Path("/"), network=network)
        assert (run(argv).stdout.strip() == here) is network

    @pytest.mark.parametrize("private", [False, True])
    def test_no_device_node_can_be_made(self, tmp_path: Path, private: bool) -> None:
        emulated = REDIRECT if private else self.NATIVE
        run(command(emulated, ["mknod", tmp_path / "null", "c", "1", "3"], rootfs=Path("/")), ok=(1,))

    def test_processes_end_with_the_command(self) -> None:
        run(command(self.NATIVE, ["sh", "-c", f"sleep {SLEEP_S} >/dev/null 2>&1 &"], rootfs=Path("/")))
        assert not find_processes(SLEEP_S)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    @pytest.mark.parametrize("private", [False, True])
    def test_all_ends_when_the_supervisor_does(self, number: signal.Signals, private: bool) -> None:
        emulated = REDIRECT if private else self.NATIVE
        supervisor = subprocess.Popen(command(emulated, ["sleep", SLEEP_S], rootfs=Path("/")))
        wait_until(lambda: any(name == "sleep" for name in find_processes(SLEEP_S)), "nothing sleeps")
        supervisor.send_signal(number)
        assert supervisor.wait(timeout=60) == -number
        wait_until(lambda: not find_processes(SLEEP_S), "a process lives on")

    def test_mount_points_are_bound_in_the_rootfs(self, rootfs: Path, redirect: Emulation) -> None:
        (rootfs / "boot").mkdir()
        shutil.copytree(rootfs / "bin", rootfs.parent / "other")
        argv = command(redirect, ["/boot/other"], rootfs=rootfs, chroot=True, binds={"/boot": rootfs.parent / "other"})
        assert run(argv).stdout[:1] == "e"


def find_processes(argument: str) -> list[str]:
    """Names of the programs that have this argument."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if argument in words:
            found.append(words[0])
    return found
