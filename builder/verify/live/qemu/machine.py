# SPDX-License-Identifier: MIT
"""A QEMU machine: prepare, start, cut its power.

The machine has one network card behind QEMU's user network. A free port of the loopback interface is forwarded to the
system's port 22. The output of the serial console is logged to a file.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from builder.errors import MachineError
from builder.plan.model import Plan
from builder.system.process import attach, running
from builder.units import MIB
from builder.verify.live.qemu.card import make_card
from builder.verify.live.qemu.command import make_command

TAIL = 25
CONSOLE_BYTES = 16 * MIB
"""Bytes at the end of a console's log that are read; a system can write any amount."""
END_S = 30.0
GLANCE_S = 0.1
PORTS = range(20000, 32768)
PORT_TRIES = 100


@dataclass(frozen=True)
class Machine:
    """A QEMU machine, as a plain value that can be passed to the process of the specs."""

    argv: tuple[str, ...]
    """Command line that starts it, also again on the same card."""
    console_log: str
    """File with the output of the serial console, of all starts."""
    ssh_port: int
    pid: int = 0
    """Process id of QEMU; 0 before the start."""
    said_before: int = 0
    """Length of the console's log at the start."""
    qemu_log: str = ""
    """File with QEMU's own messages, such as the reason why it does not start."""

    @property
    def console(self) -> str:
        """Output of the console since the start."""
        with suppress(FileNotFoundError), Path(self.console_log).open("rb") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(self.said_before, end - CONSOLE_BYTES))
            return stream.read(CONSOLE_BYTES).decode(errors="replace")
        return ""

    @property
    def tail(self) -> str:
        """The last lines of the console."""
        return "\n".join(f"  | {line.rstrip()}" for line in self.console.splitlines()[-TAIL:])

    @property
    def last_words(self) -> str:
        """The last lines of QEMU's own messages, or ""."""
        if not self.qemu_log:
            return ""
        with suppress(OSError), Path(self.qemu_log).open(encoding="utf-8", errors="replace") as stream:
            return "\n".join(f"  | {line.rstrip()}" for line in stream.read(MIB).splitlines()[-TAIL:])
        return ""

    @property
    def is_running(self) -> bool:
        """True while QEMU runs; works in any process, not only its parent."""
        with suppress(OSError):
            state = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            return state not in "ZX"
        return False

    @property
    def starved_s(self) -> float:
        """Seconds that QEMU's threads waited for a core of this machine: the maximum over the threads.

        It is the second number of Linux' schedstat, in nanoseconds (Documentation/scheduler/sched-stats.rst); 0 on a
        kernel without schedstat.
        """
        delays = [0]
        for thread in Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            with suppress(OSError, IndexError):  # The thread may have ended.
                delays.append(int(thread.read_text(encoding="ascii").split()[1]))
        return max(delays) / 1e9


@contextmanager
def started(plan: Plan, image: Path, *, work: Path, user_data: Path | None = None) -> Iterator[Machine]:
    """Start a copy of an image and yield the machine; it ends with the block.

    work       directory for card and console log; the caller removes it
    user_data  replaces the image's own on the copy

    Raises MachineError if the recipe has no `qemu`, or if this machine lacks QEMU or the firmware.
    """
    with switched_on(prepare(plan, image, work=work, user_data=user_data), work) as machine:
        yield machine


def prepare(
    plan: Plan,
    image: Path,
    *,
    work: Path,
    user_data: Path | None = None,
    interactive: bool = False,
    ssh_port: int = 0,
) -> Machine:
    """Make card and command line of a machine and return it; it is not started yet."""
    work.mkdir(parents=True, exist_ok=True)
    port, console = ssh_port or _free_port(), work / "console.log"
    card = make_card(image, plan, work, user_data=user_data)
    argv = make_command(
        plan,
        card,
        work=work,
        console=console,
        ssh_port=port,
        interactive=interactive,
    )
    return Machine(tuple(argv), str(console), port)


@contextmanager
def switched_on(machine: Machine, work: Path) -> Iterator[Machine]:
    """Start a machine in the background and yield it; it is killed at the end of the block."""
    console = Path(machine.console_log)
    said_before = console.stat().st_size if console.exists() else 0
    log = work / "qemu.log"
    with running(machine.argv, output=log) as process:
        yield replace(machine, pid=process.pid, said_before=said_before, qemu_log=str(log))


def use_console(machine: Machine) -> int:
    """Run a machine on this terminal until it ends, and return QEMU's exit code."""
    with _terminal_kept():
        return attach(machine.argv)


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """Restore the terminal's settings at the end: QEMU changes them, and cannot restore them when it is killed."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def cut_power(machine: Machine) -> None:
    """Kill a machine and wait until it has ended. Data that it had not written is lost, as in a power cut."""
    with suppress(ProcessLookupError):
        os.kill(machine.pid, signal.SIGKILL)
    deadline = time.monotonic() + END_S
    while machine.is_running and time.monotonic() < deadline:
        time.sleep(GLANCE_S)


def _free_port() -> int:
    """Return a free port of the loopback interface for a machine that may be started more than once.

    It is below the kernel's ephemeral ports (ip_local_port_range, from 32768 on), so no connection of another program
    takes it between two starts of the machine.
    """
    for _ in range(PORT_TRIES):
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise MachineError(f"no port from {PORTS.start} to {PORTS.stop - 1} is free", hint="choose one with --ssh-port")
