# SPDX-License-Identifier: MIT
"""Errors of boardwright, one class for each way to react.

A failure that a user can cause or meet is a BoardwrightError. Its message says what was found and what is expected,
its hint what to do next; the exit code depends on the kind. Only `cli.main` turns an error into an exit. Any other
exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

DISK_FULL_HINT = "free some disk space (Docker: docker system df); without Docker, BOARDWRIGHT_WORK sets the directory"


class BoardwrightError(Exception):
    """An error with a message, a hint (may be empty) and a documented exit code."""

    exit_code = 1
    kind = "error"
    is_shown = False
    """True once the error is printed."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RecipeError(BoardwrightError):
    """A board's data, a file that it names or the value of an option is wrong."""

    exit_code = 3
    kind = "recipe"


class MachineError(BoardwrightError):
    """This machine lacks a tool, a privilege, a Docker Engine or a kernel feature."""

    exit_code = 4
    kind = "machine"


class DownloadError(BoardwrightError):
    """A server could not be reached, or does not have the file."""

    exit_code = 5
    kind = "download"


class TrustError(BoardwrightError):
    """A digest, signature or key is not the expected one."""

    exit_code = 6
    kind = "trust"


class ToolError(BoardwrightError):
    """A program failed."""

    exit_code = 7
    kind = "tool"


class SpaceError(BoardwrightError):
    """A disk is full, or the content does not fit into an image."""

    exit_code = 8
    kind = "space"


class BusyError(BoardwrightError):
    """Another process holds a lock that is needed."""

    exit_code = 9
    kind = "busy"


class VerifyError(BoardwrightError):
    """An image differs from its plan."""

    exit_code = 10
    kind = "verify"


class ReleaseError(BoardwrightError):
    """A release is incomplete, or a target refused it."""

    exit_code = 11
    kind = "release"


class Interrupted(BoardwrightError):
    """A signal asked to stop (SIGINT, SIGTERM, SIGHUP); all resources were released."""

    exit_code = 130
    kind = "interrupted"


KINDS: dict[str, type[BoardwrightError]] = {
    cls.kind: cls
    for cls in (
        BoardwrightError,
        RecipeError,
        MachineError,
        DownloadError,
        TrustError,
        ToolError,
        SpaceError,
        BusyError,
        VerifyError,
        ReleaseError,
        Interrupted,
    )
}
"""Error classes by their name in JSON events: an error inside a container is raised again outside."""


@contextmanager
def disk_full_as_space_error(target: object) -> Iterator[None]:
    """Raise a SpaceError that names `target` when the disk or the quota is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SpaceError(f"no space left to write {target}", hint=DISK_FULL_HINT) from error
