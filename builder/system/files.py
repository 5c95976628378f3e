# SPDX-License-Identifier: MIT
"""Files that are not ours, opened one way: regular files only, read to a limit, and not led out of their directory.

A board, a packaged image or a directory of downloads may come from anywhere. A file in it may be a link to a file of
this machine, a pipe that never ends, a device, or larger than the memory. What a person names on the command line may
be a link; what a directory brings may only lead to a place inside it (`within`).
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
"""More than any description, list or key has."""

DEEPEST = 64
"""How deep JSON may be nested: more than any of its formats is."""

_KINDS = {
    stat.S_IFIFO: "a pipe, which can be read only once; save it to a file first",
    stat.S_IFDIR: "a directory; expected a file",
    stat.S_IFCHR: "a device; expected a file",
    stat.S_IFBLK: "a device; expected a file",
    stat.S_IFSOCK: "a socket; expected a file",
}


class InputError(RecipeError):
    """A file that cannot be taken. `problem` says why, without its name."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}", hint="look at the file, or name another one")
        self.problem = problem


def read_bytes(path: Path, *, limit: int = TEXT_BYTES, within: Path | None = None) -> bytes:
    """Return what a file holds, at most `limit` bytes; InputError for anything else."""
    with opened(path, within=within) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size <= limit:
            content = stream.read(limit + 1)  # It may grow, and files of the kernel say that they have no size.
            if len(content) <= limit:
                return content
    raise InputError(path, f"found more than {render_size(limit)}, which is the most that is read")


def read_text(path: Path, *, limit: int = TEXT_BYTES, within: Path | None = None) -> str:
    """Return what a file says in UTF-8; InputError for anything else."""
    content = read_bytes(path, limit=limit, within=within)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            path, f"found the byte 0x{content[error.start]:02x} at {error.start}, which is not UTF-8"
        ) from None


def load_json(content: str | bytes) -> Any:
    """Return what JSON says; ValueError for what is not JSON, is nested too deep, or holds a number without end.

    Its texts may hold anything, also the half of a character, as names of files may.
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
    """Say whether a value is nested so deep that who walks through it may not come back."""
    parts = [value]
    for _ in range(DEEPEST):
        inside = [each.values() if isinstance(each, dict) else each for each in parts if isinstance(each, dict | list)]
        parts = [part for each in inside for part in each]
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

    within  a directory that the file, all links followed, must be in
    """
    real = _resolve(path, within)
    try:
        _check_kind(path, real.stat())  # Before it is opened, which some devices take for a command.
        stream = open(real, "rb", opener=_open)  # noqa: SIM115 - Path.open takes no opener
    except OSError as error:
        raise InputError(path, _words(error)) from None
    with stream:
        _check_kind(path, os.fstat(stream.fileno()))  # What was looked at may be another now.
        yield stream


def open_unfinished(path: Path) -> IO[bytes]:
    """Open a file that a download goes on with, or make it, to append and to read; InputError for anything else.

    Its name can be foreseen, and its directory may be one that everybody writes to: a link there would be written
    through.
    """
    if path.is_symlink():
        raise InputError(path, "found a link; remove it")
    try:
        with suppress(FileNotFoundError):  # Who held it until now may have renamed it.
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
    """Write a file of a name that can be foreseen, in the place of what stands there: no link is written through."""
    path.unlink(missing_ok=True)
    with path.open("xb") as stream:
        stream.write(content)


def _open(path: str, flags: int) -> int:
    """Open what is no link; not waiting for the other end of a pipe."""
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
