# SPDX-License-Identifier: MIT
"""Input of one run of the specs, passed to the process of pytest as a JSON file."""

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
    """The plan that the image must match."""
    image: str = ""
    """The raw disk; "" if only a running system is verified."""
    name: str = ""
    """File name of the artefact, for the report."""
    digest: str = ""
    """SHA-256 of the artefact."""
    packages: str = ""
    """The build's list of packages; "" if there is none."""
    scratch: str = ""
    """Scratch directory of this run; the caller removes it."""
    levels: tuple[str, ...] = ("offline",)
    """Levels to run: offline, chroot, booted."""
    chroot: tuple[str, ...] = ()
    """Argv prefix that starts a command in the system's tree (level chroot)."""
    running: Running | None = None
    """The running system (level booted)."""

    def write(self, path: Path) -> None:
        """Write the task as JSON for another process."""
        path.write_bytes(TypeAdapter(Task).dump_json(self, indent=2))


def read_task(path: Path) -> Task:
    """Read a task that `Task.write` wrote."""
    return TypeAdapter(Task).validate_json(path.read_bytes())
