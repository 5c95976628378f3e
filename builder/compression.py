# SPDX-License-Identifier: MIT
"""Table of compression formats: one row for each, used by all parts of the program.

Levels were chosen on 600 MiB of a real root filesystem, two cores (zstd 1.5.4, pigz 2.6):

    zstd -3   3.6 s  181 MB      zstd -9  12.1 s  164 MB      zstd -12  21.4 s  163 MB      pigz -6  11.6 s  186 MB

The default is zstd -9: its file is a tenth smaller than with -3. Level -12 takes twice the time to save one per cent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from builder.rows import RowEnum

MEMORY = "512MiB"
"""Memory limit for unpacking. xz -9, the highest level that packages use, takes 65 MiB per thread."""


@dataclass(frozen=True)
class Format:
    """Properties of a format."""

    suffix: str
    """Suffix of a file name, after `.img`."""
    media_type: str
    """Media type, registered at IANA if there is one."""
    rank: int
    """Order in which images are preferred for download and shown; 1 is usually the smallest file."""
    by_hand: str
    """Command that unpacks a file to stdout on a user's machine."""
    pack: Callable[[str, int], list[str]] | None = None
    """Function that returns the command to compress stdin to stdout, for the image's file name and its size in bytes.
    The same image gives the same bytes. None: no compression."""
    unpack: tuple[str, ...] = ()
    """Command that unpacks a file to stdout; the path is appended. Empty if disk/open_image.py reads the format
    itself."""
    package: str = ""
    """Debian package of the program that packs and unpacks."""
    imager: int = 0
    """Order of preference for Raspberry Pi Imager; 1: all its versions unpack the format, 0: not used."""


PLAIN = Format(suffix="", media_type="application/octet-stream", rank=5, by_hand="cat")


def _zstd(name: str, size_bytes: int) -> list[str]:
    # The size goes into the frame's header, so that programs that write cards can show progress.
    return ["zstd", "--threads=0", "-9", f"--stream-size={size_bytes}", "--stdout", "--quiet"]


def _xz(name: str, size_bytes: int) -> list[str]:
    return ["xz", "--threads=0", "-6", "--stdout"]


def _gzip(name: str, size_bytes: int) -> list[str]:
    return ["pigz", *_pigz_processes(), "-6", "--no-name", "--stdout"]


def _zip(name: str, size_bytes: int) -> list[str]:
    # The entry gets the time of the file on stdin; pigz writes ZIP64 if needed.
    return ["pigz", *_pigz_processes(), "-6", "--zip", "--time", "--alias", name, "--stdout"]


def _pigz_processes() -> list[str]:
    """Return the option for at least two processes.

    With one, pigz 2.6 takes another code path: its bytes differed at level 1, and not at level 6.
    """
    return ["--processes", str(max(2, os.cpu_count() or 1))]


class Compression(RowEnum):
    """Name of a format, as in options; `row` has its properties."""

    row: Format

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
        """The end of an image's file name, with ".img"."""
        return f".img{self.row.suffix}"


IMAGE_SUFFIXES = tuple(item.image_suffix for item in Compression)
PREFERRED = tuple(sorted(Compression, key=lambda item: item.row.rank))
FOR_IMAGER = tuple(sorted((item for item in Compression if item.row.imager), key=lambda item: item.row.imager))
PROGRAMS = {
    command[0]: item.row.package
    for item in Compression
    for command in (item.row.unpack, item.row.pack("", 0) if item.row.pack else ())
    if command
}
"""Debian package of each program that packs or unpacks."""


def find_compression(name: str) -> Compression:
    """Return the compression of an image by the suffix of its file name."""
    return next((item for item in Compression if item.row.suffix and name.endswith(item.row.suffix)),
                Compression.NONE)  # fmt: skip
