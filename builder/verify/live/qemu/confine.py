# SPDX-License-Identifier: MIT
"""What QEMU may do of what its machine could make it do, were there a fault in it: an image attacks with drivers.

-sandbox: system calls that no machine needs are refused (seccomp). As root, QEMU takes another user once its files are
open, before the machine starts. Both are QEMU's own (qemu(1), -sandbox and -runas).
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
"""Version of QEMU since which -run-with has a user; -runas goes away after that."""
STATUS = Path("/proc/self/status")
SETGID, SETUID = 6, 7
"""Numbers of capabilities (linux/capability.h)."""


def confine(program: str) -> list[str]:
    """Return options for QEMU.

    program  of QEMU, which is asked for its version: the option for another user has a new name since 9.1
    """
    if may_change_user():
        # It has to take the other user itself; after that it has no right to take one back, and may start no program.
        version = _find_version(str(find_tool(program))) if has_tool(program) else RUN_WITH
        user = ["-run-with", f"user={USER}"] if version >= RUN_WITH else ["-runas", USER]
        return ["-sandbox", SANDBOX.format(elevate="allow"), *user]
    return ["-sandbox", SANDBOX.format(elevate="deny")]


@cache
def _find_version(program: str) -> tuple[int, int]:
    found = re.search(r"version (\d+)\.(\d+)", run([program, "--version"]).stdout)
    return (int(found[1]), int(found[2])) if found else RUN_WITH


def may_change_user() -> bool:
    """Say whether this process is root with the right to take another user, and there is one to take."""
    if os.geteuid() != 0:
        return False
    status = STATUS.read_text(encoding="ascii")
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    rights = int(found[1], 16) if found else 0
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return bool(rights >> SETUID & 1 and rights >> SETGID & 1)
