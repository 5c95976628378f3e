# SPDX-License-Identifier: MIT
"""Artefacts of a small image: made, unpacked, listed."""

from __future__ import annotations

import lzma
import subprocess
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from builder.artefact.files import Artefact, make_artefact
from builder.compression import Compression

EPOCH = 1_700_000_000
ALL = tuple(Compression)


@dataclass(frozen=True)
class Row:
    """A package as the rootfs stage lists it."""

    name: str
    version: str
    architecture: str
    size_kib: int


PACKAGES = [Row("zlib1g", "1:1.3", "arm64", 170), Row("bash", "5.2-1", "arm64", 7000), Row("bash", "5.2-1", "armhf", 6)]


def make(image: Path, output: Path, compression: Compression = Compression.ZST) -> tuple[Artefact, ...]:
    return make_artefact(
        image, name="boardwright-x-1", compression=compression, packages=PACKAGES, output=output, epoch=EPOCH
    )


def unpack(path: Path) -> bytes:
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "--decompress", "--stdout", path], check=True, capture_output=True).stdout
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read("boardwright-x-1.img")
    readers = {".xz": lzma.decompress, ".gz": lambda data: zlib.decompress(data, 31)}
    return readers.get(path.suffix, bytes)(path.read_bytes())


def names(output: Path) -> list[str]:
    return sorted(path.name for path in output.iterdir())
