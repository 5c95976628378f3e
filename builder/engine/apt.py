# SPDX-License-Identifier: MIT
"""Install Debian packages on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection

from builder import log
from builder.system.process import run

LOCK_S = 300
"""How long apt-get waits for another one: on a fresh machine the daily upgrade often runs."""
OPTIONS = (
    *("-y", "-qq", "--no-install-recommends", "-o", f"DPkg::Lock::Timeout={LOCK_S}"),
    *("-o", "Dpkg::Use-Pty=0"),  # With it dpkg's errors come out on stdout, and are not in ours.
)


def may_install() -> bool:
    """Return whether packages can be installed: root, and apt-get is there."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def can_install(package: str) -> bool:
    """Return whether this machine's APT has a package of that name, as it last looked."""
    policy = run(["apt-cache", "policy", package]).stdout
    return "Candidate:" in policy and "Candidate: (none)" not in policy


def install_packages(packages: Collection[str], *, why: str) -> None:
    """Install packages with apt-get, after a note that names them; `why` starts the note.

    Raises ToolError when apt-get fails and MachineError when it is not there.
    """
    names = sorted(set(packages))
    log.note(f"{why}; installing with apt-get: {' '.join(names)}")
    with log.step("tools"):
        run(["apt-get", "update", "-qq"])
        run(["apt-get", "install", *OPTIONS, *names])
