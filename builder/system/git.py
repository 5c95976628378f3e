# SPDX-License-Identifier: MIT
"""Where an image's version and time come from when the user names none: git."""

from __future__ import annotations

import shlex
from functools import cache
from pathlib import Path

from builder import log
from builder.errors import BoardwrightError, ToolError
from builder.system.process import Result, run

_OWN = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "log.showSignature=false")
"""What a directory's own .git/config does not decide: each would start a program of it."""
_NO_TRANSPORT = {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1"}
"""An object that a partial clone lacks is not fetched: .git/config names the program that does it."""
LONGEST_S = 120.0
"""For a question. A pipe in the place of one of git's own files would be waited for without end."""
DIRTY = "dirty"
REFUSED = "dubious ownership"
"""What git says of a checkout of another user (safe.directory in git-config(1))."""


def find_version(boards: Path) -> str:
    """Return `git describe` of the checkout that holds the directory `boards`; "dirty" where there is none.

    It ends with -dirty where a tracked file of the checkout differs from its commit, or where `boards` has a file that
    git neither tracks nor ignores: a build takes such a file too.
    """
    version = ask_git(boards, "describe", "--tags", "--always", "--dirty")
    if not version or version.endswith(f"-{DIRTY}"):
        return version or DIRTY
    untracked = ask_git(boards, "ls-files", "--others", "--exclude-standard", "--directory", "--no-empty-directory")
    return version if untracked == "" else f"{version}-{DIRTY}"


def find_epoch(directory: Path) -> int | None:
    """Return the time of the checkout's last commit in seconds since 1970; None where there is none."""
    text = ask_git(directory, "log", "-1", "--format=%ct")
    return int(text) if text else None


def call_git(directory: Path, *words: str) -> Result:
    """Return what git says about a directory, whatever its exit code; MachineError where there is no git.

    It starts no program that .git/config or a hook there names: the directory may be a stranger's. Filters are left,
    without which content cannot be compared.
    """
    settings = [word for each in _OWN for word in ("-c", each)]
    return run(
        ["git", "--no-optional-locks", *settings, "-C", directory, *words],
        env=_NO_TRANSPORT,
        ok=range(256),
        timeout_s=LONGEST_S,
    )


def ask_git(directory: Path, *words: str) -> str | None:
    """Return what git answers, without white space at its ends; None where it does not."""
    try:
        result = call_git(directory, *words)
    except ToolError as error:
        log.warn(f"{error.message}; the commits of {directory} are unknown")
        return None
    except BoardwrightError:
        return None  # No git on this machine.
    if REFUSED in result.stderr:
        _warn_of_refusal(directory.resolve())
    return result.stdout.strip() if result.code == 0 else None


@cache
def _warn_of_refusal(directory: Path) -> None:
    log.warn(
        f"git does not read {directory}, which belongs to another user; its commits are unknown. "
        f"Allow it with git config --global --add safe.directory {shlex.quote(str(directory))}, "
        "or give --version and --epoch"
    )
