# SPDX-License-Identifier: MIT
"""What can go wrong, by what a caller can do about it.

Every failure a user can cause or meet is a BoardwrightError: a message that says what was found and what is
allowed, a hint that says what to do next, and an exit code by kind. Only `cli.main` turns one into an exit;
anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

DISK_FULL_HINT = "free some space (in Docker: docker system df); without Docker, BOARDWRIGHT_WORK names another place"


class BoardwrightError(Exception):
    """A failure with an explanation. `hint` may be empty; `exit_code` is part of the documented interface."""

    exit_code = 1
    kind = "error"
    is_shown = False
    """Whether it was printed already."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RecipeError(BoardwrightError):
    """A board's data, a file it names or an option's value is wrong."""

    exit_code = 3
    kind = "recipe"


class MachineError(BoardwrightError):
    """This machine lacks something: a tool, a privilege, an Engine, a kernel feature."""

    exit_code = 4
    kind = "machine"


class DownloadError(BoardwrightError):
    """A server could not be reached or did not have what was asked for."""

    exit_code = 5
    kind = "download"


class TrustError(BoardwrightError):
    """A digest, signature or key is not the one that was asked for."""

    exit_code = 6
    kind = "trust"


class ToolError(BoardwrightError):
    """A program that was started ended badly."""

    exit_code = 7
    kind = "tool"


class SpaceError(BoardwrightError):
    """A disk is full, or an image has no room for its content."""

    exit_code = 8
    kind = "space"


class BusyError(BoardwrightError):
    """Somebody else holds what is needed."""

    exit_code = 9
    kind = "busy"


class VerifyError(BoardwrightError):
    """What was built is not what was planned."""

    exit_code = 10
    kind = "verify"


class ReleaseError(BoardwrightError):
    """A release is not complete, or the place it is for did not take it."""

    exit_code = 11
    kind = "release"


class Interrupted(BoardwrightError):
    """The user or the system asked to stop (SIGINT, SIGTERM, SIGHUP); everything held was released."""

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
"""Error kinds by the name they have in JSON events: what happens inside a container is raised again outside."""


@contextmanager
def disk_full_as_space_error(place: object) -> Iterator[None]:
    """Turn a full disk (or a used-up quota) met inside into a SpaceError that names `place`."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SpaceError(f"no space left to write {place}", hint=DISK_FULL_HINT) from error
