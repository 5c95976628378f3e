# SPDX-License-Identifier: MIT
"""Everything that looks random, derived: the same recipe and version give the same ids on any machine and day.

The seed is a hash of the board's name, the version and the recipe. Two versions have different ids, so that a card
and its successor can be in one machine; and no path of the machine that builds goes in.
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
        return f"{number or 1:08x}"  # zero means "none" to the kernel and to fdisk

    def make_uuid(self, name: str) -> str:
        """Return a UUID (version 5): of a GPT, a partition or a filesystem."""
        return str(uuid.uuid5(uuid.UUID(bytes=self.seed[:16]), name))


def make_identity(board: Board, version: str) -> Identity:
    """Return the identity of a version of a board."""
    return Identity(hashlib.sha256(canonical([board.name, version, portable_recipe(board)]).encode()).digest())


def canonical(value: object) -> str:
    """Return JSON that equal values always give."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def portable_recipe(board: Board) -> dict[str, object]:
    """Return a recipe as plain data without paths of this machine; key order is the recipe's where it has meaning.

    How QEMU starts the image and where Imager lists it is no part of the image, and so of none of its ids.
    """
    data = board.recipe.model_dump(mode="json", exclude={"extends", "imager", "qemu"})
    # Groups of the command line and users have an order that counts, which sorted keys would hide.
    data["cmdline_order"] = list(board.recipe.boot.cmdline)
    data["config_order"] = list(board.recipe.boot.config)
    data["users_order"] = list(board.recipe.users)
    return {key: portable(value, board.directories) for key, value in data.items()}


def portable(value: object, directories: tuple[Path, ...]) -> object:
    """Return plain data with each path below a board's directory as "rpi/debs/x.deb"."""
    if isinstance(value, dict):
        return {key: portable(part, directories) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [portable(part, directories) for part in value]
    if isinstance(value, str) and value.startswith("/"):
        return portable_path(Path(value), directories)
    return value


def portable_path(path: Path, directories: tuple[Path, ...]) -> str:
    """Return a path below a board's directory relative to the directory of boards; any other as it is."""
    home = next((directory for directory in directories if path.is_relative_to(directory)), None)
    return str(path.relative_to(home.parent)) if home else str(path)
