# SPDX-License-Identifier: MIT
"""An image becomes one compressed file, by the tools everybody has, on all cores.

The same image gives the same bytes, whatever the number of cores, the day and the directory. Levels were chosen on
600 MiB of a real root filesystem, two cores (zstd 1.5.4, pigz 2.6):

    zstd -3   3.6 s  181 MB      zstd -9  12.1 s  164 MB      zstd -12  21.4 s  163 MB      pigz -6  11.6 s  186 MB

so zstd -9: a tenth smaller than -3, and what follows costs twice the time for one per cent.
"""

from __future__ import annotations

import contextvars
import errno
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from builder import log
from builder.system.process import run

Compression = Literal["zst", "xz", "gz", "zip", "none"]
GLANCE_S = 0.5
"""How often progress is looked at."""


@dataclass(frozen=True)
class Method:
    """A way to compress: the suffix after `.img`, and a program that reads stdin and writes stdout."""

    suffix: str
    argv: Callable[[str, int], list[str]]
    """From the image's file name and its size in bytes."""


def _zstd(name: str, size_bytes: int) -> list[str]:
    # The size goes into the frame's header, so that whoever writes a card can say how far it is.
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


METHODS: Mapping[Compression, Method] = {
    "zst": Method(".zst", _zstd),
    "xz": Method(".xz", _xz),
    "gz": Method(".gz", _gzip),
    "zip": Method(".zip", _zip),
}


def suffix_of(compression: Compression) -> str:
    """Return what follows `.img` in the artefact's name."""
    return METHODS[compression].suffix if compression in METHODS else ""


def compress(
    image: Path, target: Path, *, compression: Compression, name: str, epoch: int, log_file: Path | None = None
) -> None:
    """Write `image` compressed to the file `target`. Uncompressed, it is a second name of the same file where that is
    possible: whoever made the image may not write into it any more.

    name    file name of the image inside a zip
    epoch   time of the image inside a zip, in seconds since 1970: the image file gets it too

    Raises SpaceError (the target may be there, incomplete), ToolError and MachineError.
    """
    if compression == "none":
        _link(image, target, log_file)
    else:
        if compression == "zip":
            os.utime(image, (epoch, epoch))
        argv = METHODS[compression].argv(name, image.stat().st_size)
        with image.open("rb") as source, target.open("wb") as drain, _progress(source, target.name):
            run(argv, stdin=source, stdout=drain, log_file=log_file)


def _link(image: Path, target: Path, log_file: Path | None) -> None:
    try:
        target.hardlink_to(image)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP):
            raise
        run(["cp", "--sparse=always", "--reflink=auto", image, target], log_file=log_file)


@contextmanager
def _progress(source: IO[bytes], text: str) -> Iterator[None]:
    """Tell how far a program has read `source`: it shares the open file, and so the position, with us."""
    size_bytes = os.fstat(source.fileno()).st_size
    over = threading.Event()

    def watch() -> None:
        while not over.wait(GLANCE_S):
            log.progress(text, os.lseek(source.fileno(), 0, os.SEEK_CUR) / size_bytes if size_bytes else 0.0)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(watch,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
