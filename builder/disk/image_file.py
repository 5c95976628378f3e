# SPDX-License-Identifier: MIT
"""The image to verify: found by its path or as the newest of a board, unpacked if it is compressed, never changed."""

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
"""What a build leaves beside its image, with the name of the board (release/record.py)."""
PACKED = tuple(each.image_suffix for each in Compression if each is not Compression.NONE)
MOST_RATIO = 100
"""How many times larger than its file a disk may be, zeros not counted; those of builds are three to five times."""


@dataclass(frozen=True)
class OpenImage:
    """An image file and the raw disk in it."""

    path: Path
    """What was asked for."""
    raw: Path
    """The raw disk; do not write to it."""
    sha256: str
    """Digest of the disk: the same however it is compressed."""

    @property
    def name(self) -> str:
        """The name without what says how it is compressed."""
        return name_of(self.path)


def name_of(path: Path) -> str:
    """Return the name of an image file without what says how it is compressed."""
    return re.sub(r"\.img(\.\w+)?$", "", path.name)


def find_artefact(wanted: str, output: Path, boards: Path) -> Path:
    """Return the image file that a path or a board's name means; RecipeError when there is none.

    output  where artefacts of a board are looked for; the newest is taken
    boards  the directory of boards: an image without a record beside it is of the board with the longest fitting name
    """
    path = Path(wanted)
    if path.is_file():
        return path
    found = [path for suffix in IMAGE_SUFFIXES for path in output.glob(f"boardwright-*{suffix}") if path.is_file()]
    names = list_boards(boards) if boards.is_dir() else []
    own = [path for path in found if _find_board(path, names) == wanted]
    if not own:
        raise RecipeError(
            f"{wanted} is no file, and {output} has no image of a board of that name",
            hint=f"name an image file, or build it first: boardwright build {wanted}",
        )
    return max(own, key=lambda path: path.stat().st_mtime)


def _find_board(path: Path, boards: Sequence[str]) -> str:
    """Return the board of an image: by the record of its build beside it, else by its name; empty where neither says.

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
