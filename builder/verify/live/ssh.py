# SPDX-License-Identifier: MIT
"""A running system under test: commands over one ssh connection, restart, power cut.

The system runs in QEMU or on a real board; only in QEMU can the power be cut. A restart returns when the boot is
complete.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from builder.errors import MachineError, VerifyError
from builder.system.process import Result, run
from builder.verify.live.qemu.machine import Machine, cut_power, switched_on
from builder.verify.live.qemu.watch import BOOT_S, GLANCE_S, Caller, wait

ANSWER_S = 300.0
"""Timeout of one command; emulated machines are slow."""
NO_CONNECTION = 255
LONGEST = 2000
"""Maximum length of a command's output in a message, in characters."""
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"

KEPT = "boardwright-kept"
WRITE = f"""set -eu
rm -rf {KEPT}.d && mkdir {KEPT}.d
seq 100000 > {KEPT}.d/{KEPT}
(cd {KEPT}.d && sha256sum {KEPT} > {KEPT}.sha256)
sync
nohup sh -c 'n=0; while :; do n=$((n + 1))
    head -c 300000 /dev/urandom > {KEPT}.d/$n; sync {KEPT}.d/$n; rm -f {KEPT}.d/$((n - 20))
done' >/dev/null 2>&1 </dev/null &
timeout 120 sh -c 'until [ -s {KEPT}.d/25 ]; do sleep 0.1; done'
"""
"""Script that writes a file which must survive a power cut, then starts a writer that is busy during the cut."""


@dataclass(frozen=True)
class SshAddress:
    """Address, user and key of a system for ssh."""

    user: str
    address: str
    port: int = 22
    identity: str = ""
    """Private key; "": keys of the agent and of the user."""
    fleeting: bool = False
    """Do not check or store the host key; it exists as long as the machine."""

    @property
    def url(self) -> str:
        """The system's URL for testinfra."""
        return f"ssh://{self.user}@{self.address}:{self.port}"

    def options(self, control: Path) -> list[str]:
        """Return options for ssh; all calls share the connection of the socket `control`."""
        options = [
            "-o",
            "BatchMode=yes",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "ConnectTimeout=60",
            "-o",
            "ServerAliveInterval=30",
        ]
        options += ["-o", "ControlMaster=auto", "-o", "ControlPersist=120", "-o", f"ControlPath={control}"]
        options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"] if self.fleeting else []
        return options + (["-i", self.identity] if self.identity else [])


@dataclass(frozen=True)
class Running:
    """A running system: its address, and facts that its user-data set."""

    reach: SshAddress
    hostname: str
    machine: Machine | None = None
    """The machine in QEMU; None for a real board."""
    other_user: str = ""
    """A user that user-data created, besides those of the recipe."""

    @property
    def traits(self) -> frozenset[str]:
        """Traits for `needs`: "machine" if the power can be cut and the console read."""
        return frozenset({"machine"} if self.machine else ())


def check_reach(reach: SshAddress) -> None:
    """Raise VerifyError unless the login by ssh works."""
    argv = ["ssh", *reach.options(Path("none")), "-p", str(reach.port), f"{reach.user}@{reach.address}", "true"]
    answer = run(argv, ok=range(256), timeout_s=ANSWER_S)
    if answer.code:
        raise VerifyError(
            f"{reach.url}: login by ssh failed: {answer.stderr.strip() or answer.stdout.strip()}",
            hint="try ssh by hand, with the same user and key",
        )


class LiveSystem:
    """The system under test."""

    def __init__(self, running: Running, work: Path, control: Path, later: ExitStack) -> None:
        self.reach = running.reach
        self.control = control
        self.machine = running.machine
        self._work = work
        self._later = later

    def call(self, command: str, *, stdin: bytes | None = None, timeout_s: float = ANSWER_S) -> Result:
        """Run a command line in the system's shell and return its result."""
        argv = ["ssh", *self.reach.options(self.control), "-p", str(self.reach.port)]
        return run(
            [*argv, f"{self.reach.user}@{self.reach.address}", command],
            stdin=stdin,
            ok=range(256),
            timeout_s=timeout_s,
            name="ssh",
        )

    def ask(self, command: str, *, stdin: bytes | None = None, timeout_s: float = ANSWER_S) -> str:
        """Run a command line and return its output; VerifyError if it fails."""
        result = self.call(command, stdin=stdin, timeout_s=timeout_s)
        if result.code:
            raise VerifyError(f"{command!r} ended with {result.code} on the system: {_last_words(result)}")
        return result.stdout.strip()

    def settle(self) -> None:
        """Wait until the first boot is done and all start jobs have succeeded or failed."""
        self.call("cloud-init status --wait >/dev/null; systemctl is-system-running --wait")

    def restart(self) -> None:
        """Reboot the system and wait until it is up again."""
        before = self.ask(BOOT_ID)
        reboot = self.call("sudo systemctl reboot")
        if reboot.code not in (0, NO_CONNECTION):  # The system may close the connection before it answers.
            raise VerifyError(f"the system does not restart: {_last_words(reboot)}")
        self.hang_up()
        self._wait(before)

    def write_without_end(self) -> None:
        """Write a file and sync it, then keep writing others; return when some of them are on the disk."""
        self.ask(WRITE)

    def cut_power(self) -> None:
        """Kill the machine, start it again and wait until it is up."""
        if self.machine is None:
            raise MachineError("the power of a real board cannot be cut from here")
        cut_power(self.machine)
        self.hang_up()
        self.machine = self._later.enter_context(switched_on(self.machine, self._work))
        self._wait("")

    def _wait(self, before: str) -> None:
        """Wait for a boot with another id than `before`."""
        if self.machine:
            # ssh waits a long time for a machine that accepts the connection but does not answer yet.
            answers = Caller(self.machine)
            wait(self.machine, lambda: answers() and not self._find_missing(before), what="ssh", timeout_s=BOOT_S)
        else:
            _wait_for(lambda: self._find_missing(before))
        self.settle()

    def _find_missing(self, before: str) -> str:
        """Return the reason why the system is not up again, or ""."""
        result = self.call(BOOT_ID)
        if result.code:
            return f"it does not answer ssh: {_last_words(result)}"
        return "it answers, but was not restarted" if result.stdout.strip() == before else ""

    def hang_up(self) -> None:
        """Close the shared connection, because its system is off."""
        argv = ["ssh", *self.reach.options(self.control), "-O", "exit", self.reach.address]
        run(argv, ok=(0, NO_CONNECTION), timeout_s=ANSWER_S)


def _wait_for(find_missing: Callable[[], str]) -> None:
    deadline = time.monotonic() + BOOT_S
    while missing := find_missing():
        if time.monotonic() > deadline:
            raise VerifyError(f"the board is not back {BOOT_S:.0f} s after its restart: {missing}")
        time.sleep(GLANCE_S)


def _last_words(result: Result) -> str:
    return (result.stderr.strip() or result.stdout.strip() or f"exit code {result.code}")[-LONGEST:]


@contextmanager
def open_live_system(running: Running, work: Path) -> Iterator[LiveSystem]:
    """Yield a system after its boot. The connection and a machine that was started again end with the block."""
    # ssh's socket needs a short path.
    with TemporaryDirectory(prefix="boardwright-") as short, ExitStack() as later:
        live = LiveSystem(running, work, Path(short, "ssh"), later)
        later.callback(live.hang_up)
        live.settle()
        yield live
