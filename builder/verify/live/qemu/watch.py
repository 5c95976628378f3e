# SPDX-License-Identifier: MIT
"""Wait for a machine until its system answers, or its console shows that the boot failed."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable

from builder import log
from builder.errors import VerifyError
from builder.verify.live.qemu.machine import Machine

BOOT_S = 900.0
"""Timeout of a boot. Arm on x86 is emulated; a boot takes one to four minutes on an idle machine."""
BUSY = 3
"""Maximum factor of a timeout, for a machine whose emulated cores wait for a core of this machine."""
GLANCE_S = 0.5
SELDOM_S = 20.0
PROMPT = "login:"
"""Text that each system prints on its console about when sshd starts."""

TROUBLE = (
    (r"Kernel panic - not syncing", "the kernel panicked"),
    (r"^\(initramfs\)|ALERT!.{0,99}does not exist", "the initrd did not find the root filesystem and opened a shell"),
    (r"You are in emergency mode|Reached target.{0,99}emergency\.target", "systemd is in emergency mode"),
    (r"You are in rescue mode", "systemd is in rescue mode"),
    (r"^=> $", "U-Boot found nothing to start and waits at its prompt"),
    (r"UEFI Interactive Shell|BdsDxe: No bootable option|>>Start PXE over", "the firmware found nothing to start"),
)
"""Patterns of a failed boot on the console, and their meaning.

A console can print anything, also the start of a pattern a million times in one line. So gaps are limited
(".{0,99}")."""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def find_trouble(console: str) -> str:
    """Return the reason why a boot has failed, or ""."""
    plain = _ESCAPES.sub("", console)
    return next((meaning for pattern, meaning in TROUBLE if re.search(pattern, plain, re.MULTILINE)), "")


class Caller:
    """Check for sshd: rarely before the console shows a prompt, then at each call.

    Packets for a system that is not up yet wait in QEMU, and all reach its network card when that is started. The
    card of Allwinner boards (allwinner-sun8i-emac) never receives again once they fill its ring (512 entries in
    Linux), because QEMU's model loses its position. One try costs a few packets; a slow boot had hundreds of tries.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._begun = len(machine.console)
        self._next = 0.0

    def __call__(self) -> bool:
        """Return whether sshd answers; False without a check if it is too early."""
        now = time.monotonic()
        if now < self._next and PROMPT not in self._machine.console[self._begun :]:
            return False
        self._next = now + SELDOM_S
        return greets(self._machine.ssh_port)


def wait_for_ssh(machine: Machine, *, timeout_s: float = BOOT_S) -> None:
    """Wait until the system answers at its ssh port; otherwise VerifyError with the last lines of its console."""
    wait(machine, Caller(machine), what="ssh", timeout_s=timeout_s)


def wait(machine: Machine, done: Callable[[], bool], *, what: str, timeout_s: float) -> None:
    """Wait until `done` returns True. The last line of the console is shown beside the running step.

    timeout_s  in seconds; time in which the machine waited for a core does not count, up to BUSY times the timeout

    Raises VerifyError if the timeout is over, the machine goes off, or its console shows that the boot has failed.
    """
    begun, starved_before, shown = time.monotonic(), machine.starved_s, ""
    while not done():
        if trouble := find_trouble(machine.console):
            raise VerifyError(f"{trouble}; its console:\n{machine.tail}")
        if not machine.is_running:
            messages = f"; QEMU's messages:\n{lines}\n" if (lines := machine.last_words) else "; "
            raise VerifyError(f"the machine went off before {what} answered{messages}its console:\n{machine.tail}")
        took, starved = time.monotonic() - begun, machine.starved_s - starved_before
        if took > timeout_s + min(starved, (BUSY - 1) * timeout_s):
            times = f"{took:.0f} s, {starved:.0f} of them without a core of this machine"
            raise VerifyError(f"no {what} after {times}; the console:\n{machine.tail}")
        last = _last_line(machine.console)
        if last != shown:
            log.line(last)
        shown = last
        time.sleep(GLANCE_S)


def greets(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether sshd answers. QEMU accepts connections before the system, so only sshd's greeting counts."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _last_line(console: str) -> str:
    lines = [line for line in _ESCAPES.sub("", console).splitlines() if line.strip()]
    return "".join(character for character in lines[-1] if character.isprintable()) if lines else ""
