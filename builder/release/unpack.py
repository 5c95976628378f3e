# SPDX-License-Identifier: MIT
"""A compressed image read as the image in it, piece by piece: nothing is written."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from builder.errors import ReleaseError
from builder.run import piped
from builder.units import MIB

PROGRAMS = {
    ".xz": ("xz", "--threads=0", "--decompress", "--stdout", "--quiet"),
    ".zst": ("zstd", "--decompress", "--stdout", "--quiet"),
    ".gz": ("pigz", "--decompress", "--stdout", "--quiet"),
}


def unpacked(path: Path) -> Iterator[bytes]:
    """Yield the bytes of the image in a file .img, .img.xz, .img.zst, .img.gz or .img.zip.

    Raises ReleaseError when it is damaged, MachineError when the program that unpacks it is missing.
    """
    if path.suffix in PROGRAMS:
        yield from _run(path)
    elif path.suffix == ".zip":
        yield from _read_zip(path)
    else:
        with path.open("rb") as stream:
            yield from _pieces(stream)


def _run(path: Path) -> Iterator[bytes]:
    with piped([*PROGRAMS[path.suffix], path], env={}) as process:
        assert process.stdout is not None  # Both are pipes.
        assert process.stderr is not None
        with process.stdout, process.stderr:
            yield from _pieces(process.stdout)
            said = process.stderr.read().decode(errors="replace").strip()
        if process.wait():
            raise _damaged(path, said)


def _read_zip(path: Path) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) != 1 or not names[0].endswith(".img"):
                raise _damaged(path, f"it holds {', '.join(names) or 'nothing'}, and should hold one image")
            with archive.open(names[0]) as stream:
                yield from _pieces(stream)
    except (zipfile.BadZipFile, EOFError) as error:
        raise _damaged(path, str(error)) from None


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    while data := stream.read(MIB):
        yield data


def _damaged(path: Path, reason: str) -> ReleaseError:
    return ReleaseError(f"{path.name} cannot be unpacked: {reason}", hint="fetch it again, or package the image again")
