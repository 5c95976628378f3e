# SPDX-License-Identifier: MIT
"""Default version and time of an image, from git."""

from __future__ import annotations

import shlex
from functools import cache
from pathlib import Path

from builder import log
from builder.errors import BoardwrightError, ToolError
from builder.system.process import Result, run

_OWN = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "log.showSignature=false")
"""Settings that a .git/config must not change: each can start a program."""
_NO_TRANSPORT = {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1"}
"""Do not fetch missing objects of a partial clone: .git/config names the program for that."""
LONGEST_S = 120.0
"""Timeout of a git command. git would wait for ever if one of its files were a pipe."""
DIRTY = "dirty"
REFUSED = "dubious ownership"
"""Part of git's message for a checkout of another user (safe.directory in git-config(1))."""


def find_version(boards: Path) -> str:
    """Return `git describe` of the checkout that holds the directory `boards`; "dirty" if there is none.

    It ends with -dirty if a tracked file of the checkout differs from its commit. The same holds if `boards` has a file
    that git neither tracks nor ignores, because a build uses such a file too.
    """
    version = ask_git(boards, "describe", "--tags", "--always", "--dirty")
    if not version or version.endswith(f"-{DIRTY}"):
        return version or DIRTY
    untracked = ask_git(boards, "ls-files", "--others", "--exclude-standard", "--directory", "--no-empty-directory")
    return version if untracked == "" else f"{version}-{DIRTY}"


def find_epoch(directory: Path) -> int | None:
    """Return the time of the checkout's last commit in seconds since 1970; None if there is none."""
    text = ask_git(directory, "log", "-1", "--format=%ct")
    return int(text) if text else None


def call_git(directory: Path, *arguments: str) -> Result:
    """Run git in a directory and accept any exit code; MachineError if git is not installed.

    No hook and no program of .git/config is started: the directory may be untrusted. The exception is filters, which
    git needs to compare content.
    """
    settings = [word for setting in _OWN for word in ("-c", setting)]
    return run(
        ["git", "--no-optional-locks", *settings, "-C", directory, *arguments],
        env=_NO_TRANSPORT,
        ok=range(256),
        timeout_s=LONGEST_S,
    )


def ask_git(directory: Path, *arguments: str) -> str | None:
    """Return the stripped output of git; None if it fails."""
    try:
        result = call_git(directory, *arguments)
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
