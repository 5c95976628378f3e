# SPDX-License-Identifier: MIT
"""Restrict QEMU, because the drivers of an image could attack a fault in its devices.

-sandbox refuses system calls that no machine needs (seccomp). As root, QEMU changes to another user after it has
opened its files, before the machine starts. Both are features of QEMU (qemu(1), -sandbox and -runas).
"""

from __future__ import annotations

import os
import pwd
import re
from functools import cache
from pathlib import Path

from builder.system.process import run
from builder.system.tools import find_tool, has_tool

SANDBOX = "on,obsolete=deny,elevateprivileges={elevate},spawn=deny,resourcecontrol=deny"
USER = "nobody"
RUN_WITH = (9, 1)
"""First version of QEMU whose -run-with has a user; later versions remove -runas."""
STATUS = Path("/proc/self/status")
SETGID, SETUID = 6, 7
"""Bit numbers of capabilities (linux/capability.h)."""


def confine(program: str) -> list[str]:
    """Return the options that restrict QEMU.

    program  QEMU, whose version decides: the option for another user has a new name since 9.1
    """
    if may_change_user():
        # QEMU must change the user itself. After that it may neither change it back nor start a program.
        version = _find_version(str(find_tool(program))) if has_tool(program) else RUN_WITH
        user = ["-run-with", f"user={USER}"] if version >= RUN_WITH else ["-runas", USER]
        return ["-sandbox", SANDBOX.format(elevate="allow"), *user]
    return ["-sandbox", SANDBOX.format(elevate="deny")]


@cache
def _find_version(program: str) -> tuple[int, int]:
    match = re.search(r"version (\d+)\.(\d+)", run([program, "--version"]).stdout)
    return (int(match[1]), int(match[2])) if match else RUN_WITH


def may_change_user() -> bool:
    """Return whether this process is root, may change its user, and the other user exists."""
    if os.geteuid() != 0:
        return False
    status = STATUS.read_text(encoding="ascii")
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    rights = int(match[1], 16) if match else 0
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return bool(rights >> SETUID & 1 and rights >> SETGID & 1)
