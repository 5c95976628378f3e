# SPDX-License-Identifier: MIT
"""What QEMU may do of what its machine could make it do, were there a fault in it: an image attacks with drivers.

-sandbox: system calls that no machine needs are refused (seccomp). As root, QEMU takes another user once its files are
open, before the machine starts. Both are QEMU's own (qemu(1), -sandbox and -runas).
"""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path

SANDBOX = "on,obsolete=deny,elevateprivileges={elevate},spawn=deny,resourcecontrol=deny"
USER = "nobody"
STATUS = Path("/proc/self/status")
SETGID, SETUID = 6, 7
"""Numbers of capabilities (linux/capability.h)."""


def confine() -> list[str]:
    """Return options for QEMU."""
    if may_change_user():
        # It has to take the other user itself; after that it has no right to take one back, and may start no program.
        return ["-sandbox", SANDBOX.format(elevate="allow"), "-runas", USER]
    return ["-sandbox", SANDBOX.format(elevate="deny")]


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
