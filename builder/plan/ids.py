# SPDX-License-Identifier: MIT
"""Derive all ids of an image: the same recipe and version give the same ids on any machine at any time.

The seed is a hash of the board's name, the version and the recipe. Two versions have different ids, so cards of both
can be in one machine. The seed contains no path of the build machine.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from builder.recipe.load import Board


@dataclass(frozen=True)
class Identity:
    """The source of the ids of one image."""

    seed: bytes
    """32 bytes."""

    def make_id32(self, name: str) -> str:
        """Return 8 hex digits, never all zero: a disk signature or a FAT volume id."""
        number = int.from_bytes(hashlib.sha256(self.seed + name.encode()).digest()[:4])
        return f"{number or 1:08x}"  # For the kernel and fdisk zero means "no id".

    def make_uuid(self, name: str) -> str:
        """Return a UUID (version 5) for a GPT, a partition or a filesystem."""
        return str(uuid.uuid5(uuid.UUID(bytes=self.seed[:16]), name))


def make_identity(board: Board, version: str) -> Identity:
    """Return the identity of a version of a board."""
    return Identity(hashlib.sha256(canonical([board.name, version, portable_recipe(board)]).encode()).digest())


def canonical(value: object) -> str:
    """Return JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def portable_recipe(board: Board) -> dict[str, object]:
    """Return a recipe as plain data, without paths of this machine; order is kept where it has a meaning.

    `qemu` and `imager` are left out: they do not change the image, so they must not change its ids.
    """
    data = board.recipe.model_dump(mode="json", exclude={"extends", "imager", "qemu"})
    # The order of command line groups and users counts; sorted keys would hide it.
    data["cmdline_order"] = list(board.recipe.boot.cmdline)
    data["config_order"] = list(board.recipe.boot.config)
    data["users_order"] = list(board.recipe.users)
    return {key: portable(value, board.directories) for key, value in data.items()}


def portable(value: object, directories: tuple[Path, ...]) -> object:
    """Return plain data; paths below a board's directory become relative: "rpi/debs/x.deb"."""
    if isinstance(value, dict):
        return {key: portable(part, directories) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [portable(part, directories) for part in value]
    if isinstance(value, str) and value.startswith("/"):
        return portable_path(Path(value), directories)
    return value


def portable_path(path: Path, directories: tuple[Path, ...]) -> str:
    """Return a path below a board's directory relative to the directory of boards; keep any other path."""
    home = next((directory for directory in directories if path.is_relative_to(directory)), None)
    return str(path.relative_to(home.parent)) if home else str(path)
