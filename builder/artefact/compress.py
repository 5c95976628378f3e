# SPDX-License-Identifier: MIT
"""Compress an image into one file with standard tools, on all cores.

The same image gives the same bytes: number of cores, date and directory do not matter. The table of formats is in
builder/compression.py.
"""

from __future__ import annotations

import contextvars
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from builder.compression import Compression
from builder.system.process import run

__all__ = ["Compression", "compress", "suffix_of"]


def suffix_of(compression: Compression) -> str:
    """Return the suffix after `.img` in the artefact's name."""
    return Compression(compression).row.suffix


def compress(
    image: Path, target: Path, *, compression: Compression, name: str, epoch: int, log_file: Path | None = None
) -> None:
    """Write `image` compressed to the file `target`.

    Without compression, `target` is a hard link if possible. So the image must not be written to afterwards.

    name    file name of the image inside a zip
    epoch   time of the image inside a zip, in seconds since 1970; it is also set on the image file

    Raises SpaceError (an incomplete target may be left), ToolError and MachineError.
    """
    pack = Compression(compression).row.pack
    if pack is None:
        _link(image, target, log_file)
    else:
        if compression == Compression.ZIP:
            os.utime(image, (epoch, epoch))
        argv = pack(name, image.stat().st_size)
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
    """Show how far a program has read `source`; it shares the open file, and so its position, with this process."""
    from builder.net import progress  # noqa: PLC0415 - a dry run needs no tqdm.

    over = threading.Event()

    def look() -> None:
        shown.move_to(os.lseek(source.fileno(), 0, os.SEEK_CUR))

    def watch() -> None:
        while not over.wait(progress.INTERVAL_S):
            look()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(watch,), daemon=True)
    with progress.Progress(text, os.fstat(source.fileno()).st_size) as shown:
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        look()
