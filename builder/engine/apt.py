# SPDX-License-Identifier: MIT
"""Install Debian packages on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection

from builder import log
from builder.system.process import run

LOCK_S = 300
"""Time that apt-get waits for the lock; on a fresh machine the daily upgrade often holds it."""
OPTIONS = (
    *("-y", "-qq", "--no-install-recommends", "-o", f"DPkg::Lock::Timeout={LOCK_S}"),
    *("-o", "Dpkg::Use-Pty=0"),  # With a pty, dpkg's errors go to stdout and would be missing in our message.
)


def may_install() -> bool:
    """Return whether packages can be installed: as root, with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def can_install(package: str) -> bool:
    """Return whether the package lists of this machine's APT have a package."""
    policy = run(["apt-cache", "policy", package]).stdout
    return "Candidate:" in policy and "Candidate: (none)" not in policy


def install_packages(packages: Collection[str], *, why: str) -> None:
    """Install packages with apt-get. A note names them first; it starts with `why`.

    Raises ToolError if apt-get fails and MachineError if it is missing.
    """
    names = sorted(set(packages))
    log.note(f"{why}; installing with apt-get: {' '.join(names)}")
    with log.step("tools"):
        run(["apt-get", "update", "-qq"])
        run(["apt-get", "install", *OPTIONS, *names])
