# SPDX-License-Identifier: MIT
"""A machine in QEMU, from switching it on to its end.

The machine has one network card behind QEMU's own router; port 22 of the system is reached at a free port of the
loopback interface. Everything it says on its serial console is in a file.
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
"""What is looked at of a console, from its end: a system can write there without end."""
END_S = 30.0
GLANCE_S = 0.1
PORTS = range(20000, 32768)
PORT_TRIES = 100


@dataclass(frozen=True)
class Machine:
    """A machine that was switched on. A plain value: the specs, which run in another process, get it too."""

    argv: tuple[str, ...]
    """What starts it again, on the same card."""
    console_log: str
    """Everything it said on its serial console, each time it ran."""
    ssh_port: int
    pid: int = 0
    """QEMU's process; 0 before the machine is switched on."""
    said_before: int = 0
    """Length of the console's file when it was switched on."""
    qemu_log: str = ""
    """What QEMU itself says, such as why it does not start."""

    @property
    def console(self) -> str:
        """What it has said since it was switched on."""
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
        """The last lines of QEMU itself, or nothing."""
        if not self.qemu_log:
            return ""
        with suppress(OSError), Path(self.qemu_log).open(encoding="utf-8", errors="replace") as stream:
            return "\n".join(f"  | {line.rstrip()}" for line in stream.read(MIB).splitlines()[-TAIL:])
        return ""

    @property
    def is_running(self) -> bool:
        """Say whether QEMU runs; also for a process that did not start it."""
        with suppress(OSError):
            state = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            return state not in "ZX"
        return False

    @property
    def starved_s(self) -> float:
        """Seconds for which the thread of QEMU that had to wait most was ready and had no core of this machine.

        The second number of Linux' schedstat, in nanoseconds (Documentation/scheduler/sched-stats.rst); 0 on a
        kernel without it.
        """
        delays = [0]
        for thread in Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            with suppress(OSError, IndexError):  # the thread may just have ended
                delays.append(int(thread.read_text(encoding="ascii").split()[1]))
        return max(delays) / 1e9


@contextmanager
def started(plan: Plan, image: Path, *, work: Path, user_data: Path | None = None) -> Iterator[Machine]:
    """Start an image and yield the machine; it is gone at the end of the block.

    work       a directory for its card and its console, removed by whoever made it
    user_data  takes the place of the image's own, on the copy

    Raises MachineError when the recipe has no `qemu`, or this machine no QEMU or no firmware for it.
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
    """Return a machine that is not switched on yet: its card is made, its command line decided."""
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
    """Run a machine beside us and yield it as it runs; it is ended with the block."""
    console = Path(machine.console_log)
    said_before = console.stat().st_size if console.exists() else 0
    log = work / "qemu.log"
    with running(machine.argv, output=log) as process:
        yield replace(machine, pid=process.pid, said_before=said_before, qemu_log=str(log))


def use_console(machine: Machine) -> int:
    """Run a machine on our own terminal until it ends, and return QEMU's exit code."""
    with _terminal_kept():
        return attach(machine.argv)


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """Give the terminal back as it was: QEMU changes it, and cannot undo that when it is killed."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def cut_power(machine: Machine) -> None:
    """Kill a machine as a pulled plug does, and wait until it is dead: what it had not written is lost."""
    with suppress(ProcessLookupError):
        os.kill(machine.pid, signal.SIGKILL)
    deadline = time.monotonic() + END_S
    while machine.is_running and time.monotonic() < deadline:
        time.sleep(GLANCE_S)


def _free_port() -> int:
    """Return a port of the loopback interface for a machine that may be started more than once.

    It is below those that the kernel gives away (ip_local_port_range, from 32768 on): between two starts of the
    machine, another program's connection could take it.
    """
    for _ in range(PORT_TRIES):
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise MachineError(f"no port from {PORTS.start} to {PORTS.stop - 1} is free", hint="name one with --ssh-port")
