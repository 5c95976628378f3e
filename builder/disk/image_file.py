# SPDX-License-Identifier: MIT
"""Find an image by its path, or the newest of a board, and open it; unpack a compressed one, and never change it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.compression import IMAGE_SUFFIXES, Compression
from builder.disk.open_image import HEAD, LARGEST, SLACK, find_end, unpacked
from builder.errors import RecipeError, VerifyError, disk_full_as_space_error
from builder.recipe.load import list_boards
from builder.system.checksums import sha256_file
from builder.system.files import InputError, load_json, read_bytes
from builder.system.sparse import write_sparse
from builder.units import render_size

RECORD = ".build.json"
"""Suffix of the build record beside an image, which names the board (artefact/build_record.py)."""
PACKED = tuple(compression.image_suffix for compression in Compression if compression is not Compression.NONE)
MOST_RATIO = 100
"""Limit of the size of a disk, as a multiple of its file, zeros not counted; disks of builds are three to five."""


@dataclass(frozen=True)
class OpenImage:
    """An image file and the raw disk in it."""

    path: Path
    """The image file, maybe compressed."""
    raw: Path
    """The raw disk; do not write to it."""
    sha256: str
    """Digest of the disk: the same however it is compressed."""

    @property
    def name(self) -> str:
        """The name without .img and the suffix of the compression."""
        return name_of(self.path)


def name_of(path: Path) -> str:
    """Return the name of an image file without .img and the suffix of the compression."""
    return re.sub(r"\.img(\.\w+)?$", "", path.name)


def find_artefact(name: str, output: Path, boards: Path) -> Path:
    """Return the image file of a path or of a board's name; RecipeError if it does not exist.

    name    path of an image, or name of a board
    output  directory with the artefacts of boards; the newest artefact of the board is taken
    boards  directory of boards: an image without a record beside it is of the board with the longest fitting name
    """
    path = Path(name)
    if path.is_file():
        return path
    paths = [path for suffix in IMAGE_SUFFIXES for path in output.glob(f"boardwright-*{suffix}") if path.is_file()]
    names = list_boards(boards) if boards.is_dir() else []
    fitting = [path for path in paths if guess_board(path, names) == name]
    if not fitting:
        raise RecipeError(
            f"{name}: found neither a file nor, in {output}, an image of that board",
            hint=f"name an image file, or build it first: boardwright build {name}",
        )
    return max(fitting, key=lambda path: path.stat().st_mtime)


def guess_board(path: Path, boards: Sequence[str]) -> str:
    """Return the board of an image: by the build record beside it, else by its name; "" if neither names one.

    A version may hold whatever a name of a board does: boardwright-garden-2-1.0 is of garden or of garden-2.
    """
    try:
        board = load_json(read_bytes(path.with_name(f"{name_of(path)}{RECORD}")))["board"]
    except (InputError, ValueError, KeyError, TypeError):
        board = None
    if isinstance(board, str):
        return board
    fitting = [board for board in boards if path.name.startswith(f"boardwright-{board}-")]
    return max(fitting, key=len, default="")


@contextmanager
def open_image(path: Path, scratch: Path) -> Iterator[OpenImage]:
    """Yield the image with its raw disk: itself, or unpacked below `scratch`; VerifyError when it is damaged."""
    is_packed = path.name.endswith(PACKED)
    with log.step(f"open {path.name}"):
        raw = scratch / "disk.img" if is_packed else path.resolve()
        if is_packed:
            with disk_full_as_space_error(scratch):
                _unpack(path, raw)
        elif (size := raw.stat().st_size) > LARGEST:
            raise VerifyError(
                f"{path.name} has {render_size(size)}; allowed: a disk of at most {render_size(LARGEST)}",
                hint="name an image that `boardwright build` made",
            )
        digest = sha256_file(raw)
    try:
        yield OpenImage(path, raw, digest)
    finally:
        if is_packed:
            raw.unlink(missing_ok=True)


def _unpack(path: Path, raw: Path) -> None:
    written, most = 0, SLACK + MOST_RATIO * path.stat().st_size
    with raw.open("wb") as target:
        for piece in unpacked(path):
            if target.tell() == 0 and find_end(piece[:HEAD]) is None:
                raise VerifyError(
                    f"{path.name} holds no disk: it does not begin with a partition table",
                    hint="name the image of a whole disk, as `boardwright build` makes it",
                )
            written += write_sparse(piece, target)
            if written > most:
                raise VerifyError(
                    f"{path.name} becomes more than {render_size(most)} that are not zero, {MOST_RATIO} times its size",
                    hint="name an image that `boardwright build` made",
                )
        target.truncate(target.tell())
