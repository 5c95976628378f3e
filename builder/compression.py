# SPDX-License-Identifier: MIT
"""How images are compressed: one row for each format, which every part of the program reads.

Levels were chosen on 600 MiB of a real root filesystem, two cores (zstd 1.5.4, pigz 2.6):

    zstd -3   3.6 s  181 MB      zstd -9  12.1 s  164 MB      zstd -12  21.4 s  163 MB      pigz -6  11.6 s  186 MB

so zstd -9: a tenth smaller than -3, and what follows costs twice the time for one per cent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

MEMORY = "512MiB"
"""For unpacking; xz -9, which is the most that packages are made with, takes 65 MiB for each of its threads."""


@dataclass(frozen=True)
class Format:
    """What there is to know of a format."""

    suffix: str
    """After `.img`."""
    media_type: str
    """Registered at IANA where there is one."""
    rank: int
    """Which of several images is fetched, and shown first: the one that is usually smallest."""
    by_hand: str
    """The command that unpacks a file to stdout on a user's machine."""
    pack: Callable[[str, int], list[str]] | None = None
    """The command that reads stdin and writes stdout, from the image's file name and its size in bytes; the same image
    gives the same bytes. None: the image as it is."""
    unpack: tuple[str, ...] = ()
    """The command that writes a file to stdout, its path comes last; empty where disk/open_image.py reads it by
    itself."""
    package: str = ""
    """The Debian package of the program that packs and unpacks."""
    imager: int = 0
    """Which of several images Raspberry Pi Imager is given: 1 for the one that every version of it unpacks; 0: none."""


PLAIN = Format(suffix="", media_type="application/octet-stream", rank=5, by_hand="cat")


def _zstd(name: str, size_bytes: int) -> list[str]:
    # The size goes into the frame's header, so that a program that writes a card can show how far it is.
    return ["zstd", "--threads=0", "-9", f"--stream-size={size_bytes}", "--stdout", "--quiet"]


def _xz(name: str, size_bytes: int) -> list[str]:
    return ["xz", "--threads=0", "-6", "--stdout"]


def _gzip(name: str, size_bytes: int) -> list[str]:
    return ["pigz", *_pigz_processes(), "-6", "--no-name", "--stdout"]


def _zip(name: str, size_bytes: int) -> list[str]:
    # The entry has the time of the file on stdin; pigz writes ZIP64 where it is needed.
    return ["pigz", *_pigz_processes(), "-6", "--zip", "--time", "--alias", name, "--stdout"]


def _pigz_processes() -> list[str]:
    """At least two: with one, pigz takes another path, whose bytes differed at level 1 (2.6; not at level 6)."""
    return ["--processes", str(max(2, os.cpu_count() or 1))]


class Compression(StrEnum):
    """The name of a format, as options have it, and the format itself."""

    row: Format

    def __new__(cls, name: str, row: Format = PLAIN) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.row = row
        return member

    ZST = (
        "zst",
        Format(
            suffix=".zst",
            media_type="application/zstd",
            rank=2,
            by_hand="zstd -dc",
            pack=_zstd,
            unpack=("zstd", f"--memory={MEMORY}", "--decompress", "--stdout", "--quiet", "--"),
            package="zstd",
            imager=4,
        ),
    )
    XZ = (
        "xz",
        Format(
            suffix=".xz",
            media_type="application/x-xz",
            rank=1,
            by_hand="xz -dc",
            pack=_xz,
            unpack=(
                *("xz", "--threads=0", f"--memlimit-decompress={MEMORY}", "--decompress", "--stdout", "--quiet"),
                "--",
            ),
            package="xz-utils",
            imager=1,
        ),
    )
    GZ = (
        "gz",
        Format(
            suffix=".gz",
            media_type="application/gzip",
            rank=3,
            by_hand="gzip -dc",
            pack=_gzip,
            unpack=("pigz", "--decompress", "--stdout", "--quiet", "--"),
            package="pigz",
            imager=2,
        ),
    )
    ZIP = (
        "zip",
        Format(
            suffix=".zip",
            media_type="application/zip",
            rank=4,
            by_hand="unzip -p",
            pack=_zip,
            package="pigz",
            imager=3,
        ),
    )
    NONE = ("none", PLAIN)

    @property
    def image_suffix(self) -> str:
        """What the name of an image ends with, ".img" included."""
        return f".img{self.row.suffix}"


IMAGE_SUFFIXES = tuple(each.image_suffix for each in Compression)
PREFERRED = tuple(sorted(Compression, key=lambda each: each.row.rank))
FOR_IMAGER = tuple(sorted((each for each in Compression if each.row.imager), key=lambda each: each.row.imager))
PROGRAMS = {
    command[0]: each.row.package
    for each in Compression
    for command in (each.row.unpack, each.row.pack("", 0) if each.row.pack else ())
    if command
}
"""Debian package of each program that packs or unpacks."""


def find_compression(name: str) -> Compression:
    """Return how an image is compressed, by the suffix of its file's name."""
    return next((each for each in Compression if each.row.suffix and name.endswith(each.row.suffix)),
                Compression.NONE)  # fmt: skip
