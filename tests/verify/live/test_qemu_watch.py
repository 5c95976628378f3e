# SPDX-License-Identifier: MIT
"""Waiting for machines: a program of ours stands for QEMU, a file for its console."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from builder.errors import MachineError, VerifyError
from builder.units import MIB
from builder.verify.live.qemu import machine as machine_module
from builder.verify.live.qemu import watch
from builder.verify.live.qemu.machine import CONSOLE_BYTES, Machine, _free_port, cut_power, switched_on
from builder.verify.live.qemu.watch import Caller, find_trouble, greets, wait, wait_for_ssh

Start = Callable[[str], Machine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a machine that is a shell script; `$C` is its console."""
    console = tmp_path / "console.log"
    with ExitStack() as stack:

        def call(script: str) -> Machine:
            argv = ("sh", "-c", f"C={console}; {script}")
            return stack.enter_context(switched_on(Machine(argv, str(console), ssh_port=1), tmp_path))

        yield call


@pytest.mark.parametrize(
    ("console", "meaning"),
    [
        ("[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs", "the kernel panicked"),
        ("ALERT!  PARTUUID=1 does not exist.  Dropping to a shell!", "the initrd"),
        ("\nBusyBox v1.37\n(initramfs) ", "the initrd"),
        ("You are in emergency mode. After logging in", "systemd is in emergency mode"),
        (
            "[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39memergency.target\x1b[0m",
            "systemd is in emergency mode",
        ),
        ("You are in rescue mode.", "systemd is in rescue mode"),
        (">>Start PXE over IPv4.", "the firmware found nothing to start"),
        ("UEFI Interactive Shell v2.2", "the firmware found nothing to start"),
        ("Begin: Running /scripts/init-premount ... done.\n[  OK  ] Started emergency.service.\nlogin:", ""),
    ],
)
def test_the_console_says_when_there_is_nothing_to_wait_for(console: str, meaning: str) -> None:
    assert find_trouble(console).startswith(meaning)
    assert bool(find_trouble(console)) == bool(meaning)


@pytest.mark.parametrize("word", ["ALERT!", "Reached target "])
def test_a_console_that_says_the_same_without_end_is_looked_at_in_no_time(word: str) -> None:
    begun = time.monotonic()
    assert find_trouble(word * (MIB // len(word))) == ""
    assert time.monotonic() - begun < 5


def test_a_panic_ends_the_wait_with_the_consoles_end(start: Start) -> None:
    machine = start('echo "first words" >$C; echo "Kernel panic - not syncing: no init" >>$C; exec sleep 60')
    with pytest.raises(VerifyError, match=r"(?s)the kernel panicked.*first words.*no init"):
        wait(machine, lambda: False, what="ssh", timeout_s=60)


def test_a_machine_that_goes_off_ends_the_wait(start: Start) -> None:
    machine = start('echo "Power down" >$C')
    with pytest.raises(VerifyError, match=r"(?s)went off before ssh answered.*Power down"):
        wait(machine, lambda: False, what="ssh", timeout_s=60)


def test_what_qemu_itself_has_to_say_is_told(tmp_path: Path) -> None:
    machine = Machine(
        ("sh", "-c", "echo 'could not set up host forwarding rule' >&2"), str(tmp_path / "console.log"), 1
    )
    with (
        switched_on(machine, tmp_path) as running,
        pytest.raises(VerifyError, match=r"(?s)went off before x answered; QEMU's messages:\n  \| could not set up"),
    ):
        wait(running, lambda: False, what="x", timeout_s=10)


def test_a_timeout_says_what_was_waited_for_and_the_consoles_end(start: Start) -> None:
    machine = start('echo "still at it" >$C; exec sleep 60')
    with pytest.raises(VerifyError, match=r"(?s)no ssh after \d+ s.*still at it"):
        wait_for_ssh(machine, timeout_s=1)


def test_ssh_is_asked_for_seldom_before_a_prompt_and_all_the_time_after(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(watch, "greets", asked.append)
    machine = start("exec sleep 60")
    with Path(machine.console_log).open("a") as console:
        caller = Caller(machine)
        assert (call_often(caller), len(asked)) == (5, 1)
        console.write("lighthouse login: ")
        console.flush()
        assert (call_often(caller), len(asked)) == (5, 6)
        again = Caller(machine)  # after a restart: the prompt is of the boot before
        assert (call_often(again), len(asked)) == (5, 7)
        monkeypatch.setattr(watch, "SELDOM_S", 0.0)
        assert (call_often(Caller(machine)), len(asked)) == (5, 12)


def call_often(caller: Caller) -> int:
    return sum(1 for _ in range(5) if not caller())


def test_time_without_a_core_is_not_counted_up_to_three_times_the_limit(start: Start) -> None:
    core = min(os.sched_getaffinity(0))
    machine, *_ = [start(f"exec taskset -c {core} sh -c 'while :; do :; done'") for _ in range(6)]
    with pytest.raises(VerifyError, match=r"no ssh after [345] s, [2345] of them without a core of this machine"):
        wait_for_ssh(machine, timeout_s=1)


def test_a_machine_that_was_never_switched_on_has_not_waited_for_a_core() -> None:
    assert Machine((), "", ssh_port=1).starved_s == 0


def test_a_cut_machine_is_dead_and_says_no_more(start: Start) -> None:
    machine = start("exec sleep 60")
    assert machine.is_running
    cut_power(machine)
    assert not machine.is_running
    cut_power(machine)


def test_a_machine_is_gone_at_the_end_of_the_block(tmp_path: Path) -> None:
    argv = ("sleep", "60")
    with switched_on(Machine(argv, str(tmp_path / "console.log"), ssh_port=1), tmp_path) as machine:
        assert machine.is_running
    assert not Path(f"/proc/{machine.pid}").exists()


def test_what_was_said_before_a_power_cut_is_not_said_again(start: Start) -> None:
    first = start("echo before >>$C; exec sleep 60")
    wait(first, lambda: "before" in first.console, what="a word", timeout_s=60)
    cut_power(first)
    second = start("echo after >>$C; exec sleep 60")
    wait(second, lambda: "after" in second.console, what="a word", timeout_s=60)
    assert "before" not in second.console


def test_only_sshd_greets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer(words: bytes) -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(words)

        for words, expected in ((b"SSH-2.0-OpenSSH", True), (b"HTTP/1.0", False), (b"", False)):
            thread = threading.Thread(target=answer, args=(words,))
            thread.start()
            assert greets(port) is expected
            thread.join()
    assert not greets(port)


def test_no_process_is_no_running_machine() -> None:
    assert not Machine((), "/nonexistent", 1, pid=0).is_running
    assert Machine((), "/nonexistent", 1, pid=os.getpid()).is_running
    assert Machine((), "/nonexistent", 1).console == ""


def test_of_a_console_without_end_only_the_end_is_looked_at(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    with console.open("wb") as stream:
        stream.truncate(1 << 40)
        stream.seek(1 << 40)
        stream.write(b"login: ")
    text = Machine((), str(console), ssh_port=1).console
    assert text.endswith("login: ")
    assert len(text) == CONSOLE_BYTES


def test_the_port_of_a_machine_is_none_that_the_kernel_gives_away(monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert all(_free_port() in range(1024, int(first)) for _ in range(50))
    with socket.create_server(("127.0.0.1", _free_port())) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(machine_module, "PORTS", range(port, port + 1))
        with pytest.raises(MachineError, match=f"no port from {port} to {port} is free"):
            _free_port()
