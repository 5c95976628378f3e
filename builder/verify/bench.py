# SPDX-License-Identifier: MIT
"""A running system on the bench: asked over one ssh connection, restarted, its power cut.

It is a machine in QEMU or a real board; only the first can lose its power. Whoever restarts it waits until it is
up again, so that what is asked next is asked of a system that has settled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from builder.errors import MachineError, VerifyError
from builder.run import Result, run
from builder.verify.qemu.machine import Machine, cut_power, switched_on
from builder.verify.qemu.watch import BOOT_S, GLANCE_S, Caller, wait

ANSWER_S = 300.0
"""How long one command may take; emulated machines are slow."""
NO_CONNECTION = 255
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
"""Something that must outlive a power cut, and a writer that is busy when it comes."""


@dataclass(frozen=True)
class Reach:
    """How a system is reached by ssh."""

    user: str
    address: str
    port: int = 22
    identity: str = ""
    """Private key; the agent's and the user's own without."""
    fleeting: bool = False
    """Its host key is nobody's business: it lasts as long as the machine."""

    @property
    def url(self) -> str:
        """testinfra's name of it."""
        return f"ssh://{self.user}@{self.address}:{self.port}"

    def options(self, control: Path) -> list[str]:
        """Return ssh's options; all calls share the connection whose socket is `control`."""
        words = [
            "-o",
            "BatchMode=yes",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "ConnectTimeout=60",
            "-o",
            "ServerAliveInterval=30",
        ]
        words += ["-o", "ControlMaster=auto", "-o", "ControlPersist=120", "-o", f"ControlPath={control}"]
        words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"] if self.fleeting else []
        return words + (["-i", self.identity] if self.identity else [])


@dataclass(frozen=True)
class Running:
    """A running system and what is known of it beforehand."""

    reach: Reach
    hostname: str
    machine: Machine | None = None
    """The machine in QEMU; None for a real board."""
    other_user: str = ""
    """A user that user-data made, besides the recipe's."""

    @property
    def traits(self) -> frozenset[str]:
        """What `needs` may ask for: a power plug to pull, and a console to read."""
        return frozenset({"machine"} if self.machine else ())


def check_reach(reach: Reach) -> None:
    """Raise VerifyError unless the system lets us in."""
    words = ["ssh", *reach.options(Path("none")), "-p", str(reach.port), f"{reach.user}@{reach.address}", "true"]
    answer = run(words, ok=range(256), timeout_s=ANSWER_S)
    if answer.code:
        raise VerifyError(
            f"{reach.url} does not let us in: {answer.stderr.strip() or answer.stdout.strip()}",
            hint="try it by hand: ssh, with the same user and key",
        )


class Bench:
    """The system under test."""

    def __init__(self, running: Running, work: Path, control: Path, later: ExitStack) -> None:
        self.reach = running.reach
        self.control = control
        self.machine = running.machine
        self._work = work
        self._later = later

    def call(self, command: str, *, stdin: bytes | None = None, timeout_s: float = ANSWER_S) -> Result:
        """Run a command line of the system's shell and return how it ended."""
        argv = ["ssh", *self.reach.options(self.control), "-p", str(self.reach.port)]
        return run(
            [*argv, f"{self.reach.user}@{self.reach.address}", command],
            stdin=stdin,
            ok=range(256),
            timeout_s=timeout_s,
            name="ssh",
        )

    def ask(self, command: str, *, stdin: bytes | None = None, timeout_s: float = ANSWER_S) -> str:
        """Run a command line and return what it said; VerifyError when it failed."""
        result = self.call(command, stdin=stdin, timeout_s=timeout_s)
        if result.code:
            said = (result.stderr.strip() or result.stdout.strip())[-2000:]
            raise VerifyError(f"{command!r} ended with {result.code} on the system: {said}")
        return result.stdout.strip()

    def settle(self) -> None:
        """Wait until the first boot is done and every start job has ended, well or not."""
        self.call("cloud-init status --wait >/dev/null; systemctl is-system-running --wait")

    def restart(self) -> None:
        """Restart the system in order, and wait for it."""
        before = self.ask(BOOT_ID)
        self.call("sudo systemctl reboot")
        self.hang_up()
        self._wait(lambda: self._boot_id() not in ("", before))

    def write_without_end(self) -> None:
        """Write a file for good, then go on writing others; return when some of them are on the disk."""
        self.ask(WRITE)

    def cut_power(self) -> None:
        """Kill the machine, switch it on again and wait for it."""
        if self.machine is None:
            raise MachineError("the power of a real board cannot be cut from here")
        cut_power(self.machine)
        self.hang_up()
        self.machine = self._later.enter_context(switched_on(self.machine, self._work))
        self._wait(lambda: self._boot_id() != "")

    def _wait(self, up: Callable[[], bool]) -> None:
        if self.machine:
            # ssh waits a long time for a machine that takes the connection and says nothing yet.
            answers = Caller(self.machine)
            wait(self.machine, lambda: answers() and up(), what="ssh", timeout_s=BOOT_S)
        else:
            _wait_for(up)
        self.settle()

    def _boot_id(self) -> str:
        result = self.call(BOOT_ID)
        return "" if result.code else result.stdout.strip()

    def hang_up(self) -> None:
        """End the shared connection: it leads to a system that is gone."""
        argv = ["ssh", *self.reach.options(self.control), "-O", "exit", self.reach.address]
        run(argv, ok=(0, NO_CONNECTION), timeout_s=ANSWER_S)


def _wait_for(up: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BOOT_S
    while not up():
        if time.monotonic() > deadline:
            raise VerifyError(f"the board did not answer ssh within {BOOT_S:.0f} s of its restart")
        time.sleep(GLANCE_S)


@contextmanager
def opened_bench(running: Running, work: Path) -> Iterator[Bench]:
    """Yield a system that has settled; the connection ends with the block, and a machine that was started again."""
    # ssh's socket needs a short path.
    with TemporaryDirectory(prefix="boardwright-") as short, ExitStack() as later:
        bench = Bench(running, work, Path(short, "ssh"), later)
        later.callback(bench.hang_up)
        bench.settle()
        yield bench
