# SPDX-License-Identifier: MIT
"""Waiting for a machine: until its system answers, or its console says why it never will."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable

from builder import log
from builder.errors import VerifyError
from builder.verify.live.qemu.machine import Machine

BOOT_S = 900.0
"""How long a boot may take: Arm on an x86 machine is emulated, one to four minutes on a quiet machine."""
BUSY = 3
"""How many times its limit a machine may take whose emulated cores wait for those of this machine."""
GLANCE_S = 0.5
SELDOM_S = 20.0
PROMPT = "login:"
"""What every system says on its console about the time at which sshd starts."""

TROUBLE = (
    (r"Kernel panic - not syncing", "the kernel panicked"),
    (r"^\(initramfs\)|ALERT!.{0,99}does not exist", "the initrd did not find the root filesystem and opened a shell"),
    (r"You are in emergency mode|Reached target.{0,99}emergency\.target", "systemd is in emergency mode"),
    (r"You are in rescue mode", "systemd is in rescue mode"),
    (r"^=> $", "U-Boot found nothing to start and waits at its prompt"),
    (r"UEFI Interactive Shell|BdsDxe: No bootable option|>>Start PXE over", "the firmware found nothing to start"),
)
"""What a console says when there is no more to wait for, and what it means. A console may say anything, also the
beginning of a sentence without an end, a million times in a line: so each sentence has an end (".{0,99}")."""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def find_trouble(console: str) -> str:
    """Return why a system will not come up, or nothing."""
    plain = _ESCAPES.sub("", console)
    return next((meaning for pattern, meaning in TROUBLE if re.search(pattern, plain, re.MULTILINE)), "")


class Caller:
    """Asks for ssh all the time when the console has a prompt, and seldom before.

    Packets for a system that is not up yet wait in QEMU, and all of them reach its network card when that is started.
    QEMU's card of Allwinner's boards (allwinner-sun8i-emac) never receives again once they have filled its ring, of
    512 places in Linux: the model forgets where it was. One try costs a few packets, and a slow boot lasted for
    hundreds of them.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._begun = len(machine.console)
        self._next = 0.0

    def __call__(self) -> bool:
        """Say whether sshd answers; False where it was not asked."""
        now = time.monotonic()
        if now < self._next and PROMPT not in self._machine.console[self._begun :]:
            return False
        self._next = now + SELDOM_S
        return greets(self._machine.ssh_port)


def wait_for_ssh(machine: Machine, *, timeout_s: float = BOOT_S) -> None:
    """Wait until the system answers at its ssh port; VerifyError with the end of its console otherwise."""
    wait(machine, Caller(machine), what="ssh", timeout_s=timeout_s)


def wait(machine: Machine, done: Callable[[], bool], *, what: str, timeout_s: float) -> None:
    """Wait for something that a running system does. Its last words are shown beside the running step.

    timeout_s  the limit in seconds; time for which the machine had no core is not counted, up to BUSY times the limit

    Raises VerifyError when the limit is over, the machine goes off, or its console says that it will not come up.
    """
    begun, starved_before, shown = time.monotonic(), machine.starved_s, ""
    while not done():
        if trouble := find_trouble(machine.console):
            raise VerifyError(f"{trouble}; its console:\n{machine.tail}")
        if not machine.is_running:
            own = f"; QEMU said:\n{words}\n" if (words := machine.last_words) else "; "
            raise VerifyError(f"the machine went off while {what} was waited for{own}its console:\n{machine.tail}")
        took, starved = time.monotonic() - begun, machine.starved_s - starved_before
        if took > timeout_s + min(starved, (BUSY - 1) * timeout_s):
            told = f"{took:.0f} s, {starved:.0f} of them without a core of this machine"
            raise VerifyError(f"no {what} after {told}; the console:\n{machine.tail}")
        last = _last_line(machine.console)
        if last != shown:
            log.line(last)
        shown = last
        time.sleep(GLANCE_S)


def wait_until_over(machine: Machine, *, timeout_s: float) -> None:
    """Wait until the machine has switched itself off; VerifyError with the end of its console otherwise."""
    deadline = time.monotonic() + timeout_s
    while machine.is_running:
        if time.monotonic() > deadline:
            raise VerifyError(f"still running after {timeout_s:.0f} s; its console:\n{machine.tail}")
        time.sleep(GLANCE_S)


def greets(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether sshd answers. QEMU accepts connections before the system does; only the greeting counts."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _last_line(console: str) -> str:
    lines = [line for line in _ESCAPES.sub("", console).splitlines() if line.strip()]
    return "".join(character for character in lines[-1] if character.isprintable()) if lines else ""
