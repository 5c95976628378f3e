# SPDX-License-Identifier: MIT
"""Read untrusted files: regular files only, up to a size limit, and without links out of their directory.

A board, a packaged image or a download directory may come from anywhere. A file in it may be a link to a file of this
machine, an endless pipe, a device, or larger than the memory. A path from the command line may be a link. A link inside
a directory must stay in that directory (`within`).
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from builder.errors import RecipeError
from builder.units import MIB, render_size

TEXT_BYTES = 64 * MIB
"""Size limit: more than any description, list or key has."""

DEEPEST = 64
"""Maximum nesting of JSON: more than any format read here has."""

_KINDS = {
    stat.S_IFIFO: "a pipe, which can be read only once; save it to a file first",
    stat.S_IFDIR: "a directory; expected a file",
    stat.S_IFCHR: "a device; expected a file",
    stat.S_IFBLK: "a device; expected a file",
    stat.S_IFSOCK: "a socket; expected a file",
}


class InputError(RecipeError):
    """An input file that cannot be used. `problem` is the reason, without the file name."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}", hint="look at the file, or name another one")
        self.problem = problem


def read_bytes(path: Path, *, limit: int = TEXT_BYTES, within: Path | None = None) -> bytes:
    """Return the content of a file of at most `limit` bytes; InputError for anything else."""
    with opened(path, within=within) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size <= limit:
            content = stream.read(limit + 1)  # It may grow, and kernel files report size 0.
            if len(content) <= limit:
                return content
    raise InputError(path, f"found more than {render_size(limit)}, which is the most that is read")


def read_text(path: Path, *, limit: int = TEXT_BYTES, within: Path | None = None) -> str:
    """Return the content of a UTF-8 file; InputError for anything else."""
    content = read_bytes(path, limit=limit, within=within)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            path, f"found the byte 0x{content[error.start]:02x} at {error.start}, which is not UTF-8"
        ) from None


def load_json(content: str | bytes) -> Any:
    """Parse JSON; ValueError if it is invalid, nested too deep, or has an infinite number or NaN.

    Strings are not checked: they may have a lone surrogate, as file names may.
    """
    problem = ValueError(f"it is nested deeper than {DEEPEST} times")
    try:
        value = json.loads(content, parse_constant=_load_number, parse_float=_load_number)
    except RecursionError:
        raise problem from None
    if _is_deep(value):
        raise problem
    return value


def _is_deep(value: Any) -> bool:
    """Return whether a value is nested so deep that a recursive function may fail on it."""
    parts = [value]
    for _ in range(DEEPEST):
        inside = [part.values() if isinstance(part, dict) else part for part in parts if isinstance(part, dict | list)]
        parts = [part for values in inside for part in values]
        if not parts:
            return False
    return True


def _load_number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is not a JSON number")
    return number


@contextmanager
def opened(path: Path, *, within: Path | None = None) -> Iterator[IO[bytes]]:
    """Yield a regular file, open for reading; InputError for anything else.

    within  a directory that must contain the file, with all links followed
    """
    real = _resolve(path, within)
    try:
        _check_kind(path, real.stat())  # Before opening: for some devices, open() is a command.
        stream = open(real, "rb", opener=_open)  # noqa: SIM115 - Path.open takes no opener
    except OSError as error:
        raise InputError(path, _words(error)) from None
    with stream:
        _check_kind(path, os.fstat(stream.fileno()))  # The file may have been replaced after the check.
        yield stream


def open_unfinished(path: Path) -> IO[bytes]:
    """Open or make the unfinished file of a download, to append and to read; InputError if it is not a regular file.

    Its name is predictable, and its directory may be world-writable: a link there must not be followed.
    """
    if path.is_symlink():
        raise InputError(path, "found a link; remove it")
    try:
        with suppress(FileNotFoundError):  # The previous lock holder may have renamed it.
            _check_kind(path, path.stat())
        stream = open(path, "ab+", opener=_open)  # noqa: SIM115
    except OSError as error:
        raise InputError(path, _words(error)) from None
    try:
        _check_kind(path, os.fstat(stream.fileno()))
    except InputError:
        stream.close()
        raise
    return stream


def write_new(path: Path, content: bytes) -> None:
    """Write a file with a predictable name, replacing an existing one; a link is removed, not followed."""
    path.unlink(missing_ok=True)
    with path.open("xb") as stream:
        stream.write(content)


def _open(path: str, flags: int) -> int:
    """Open without following links and without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, 0o666)


def _check_kind(path: Path, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise InputError(path, f"found {_KINDS.get(kind, 'no regular file')}")


def _resolve(path: Path, within: Path | None) -> Path:
    try:
        real = path.resolve(strict=True)
        if within is not None and not real.is_relative_to(within.resolve(strict=True)):
            raise InputError(path, f"found a link that leads out of {within}; expected one that stays inside")
    except OSError as error:
        raise InputError(path, _words(error)) from None
    except (RuntimeError, ValueError):  # A loop of links; a zero byte.
        raise InputError(path, "cannot be followed; expected a file or a link to one") from None
    return real


def _words(error: OSError) -> str:
    return f"cannot be read: {error.strerror}"
