# SPDX-License-Identifier: MIT
"""What pytest is to verify: handed to its process as a file of JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from builder.plan.model import Plan
from builder.verify.live.ssh import Running


@dataclass(frozen=True)
class Task:
    """One run of the specs. Paths are absolute."""

    plan: Plan
    """What the image was built by, or is compared with."""
    image: str = ""
    """The raw disk; "" where only a running system is asked."""
    name: str = ""
    """File name of the artefact, for the report."""
    digest: str = ""
    """SHA-256 of the artefact."""
    packages: str = ""
    """The build's list of packages, where there is one."""
    scratch: str = ""
    """A directory of this run alone, which the caller removes."""
    levels: tuple[str, ...] = ("offline",)
    """Levels to run: offline, chroot, booted."""
    chroot: tuple[str, ...] = ()
    """Words that start a command in the system's tree (level chroot); the command follows them."""
    running: Running | None = None
    """The running system (level booted)."""

    def write(self, path: Path) -> None:
        """Write it for another process."""
        path.write_bytes(TypeAdapter(Task).dump_json(self, indent=2))


def read_task(path: Path) -> Task:
    """Return what `Task.write` wrote."""
    return TypeAdapter(Task).validate_json(path.read_bytes())
