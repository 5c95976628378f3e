# SPDX-License-Identifier: MIT
"""What pytest is to verify: handed to its process as a file of JSON, made into a plan and a subject there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.verify.live.ssh import Running


@dataclass(frozen=True)
class Task:
    """One run of the specs. Paths are absolute."""

    board: str
    version: str
    epoch: int
    """SOURCE_DATE_EPOCH of the build."""
    boards: str
    """Directory of boards."""
    user_data: str = ""
    """The user's own user-data that the image was built with."""
    image: str = ""
    """The raw disk; nothing where only a running system is asked."""
    name: str = ""
    """File name of the artefact, for the report."""
    digest: str = ""
    """SHA-256 of the artefact."""
    packages: str = ""
    """The build's list of packages, where there is one."""
    scratch: str = ""
    """A directory of the run's own, removed by whoever started it."""
    levels: tuple[str, ...] = ("offline",)
    """Levels to run: offline, chroot, booted."""
    chroot: tuple[str, ...] = ()
    """Words that start a command in the system's tree (level chroot); the command follows them."""
    running: Running | None = None
    """The running system (level booted)."""

    def make_plan(self) -> Plan:
        """Return the plan that the image was built by."""
        board = load_board(Path(self.boards), self.board)
        user_data = Path(self.user_data) if self.user_data else None
        return make_plan(board, version=self.version, epoch=self.epoch, user_data=user_data)

    def write(self, path: Path) -> None:
        """Write it for another process."""
        path.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")


def read_task(path: Path) -> Task:
    """Return what `Task.write` wrote."""
    return TypeAdapter(Task).validate_json(path.read_bytes())
