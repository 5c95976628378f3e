# SPDX-License-Identifier: MIT
"""Compares a packaged image with the one that was asked for: a signature says who wrote a description, not of what.

A server, or a writer of a bucket, can answer with another image of the same publisher: of another board, or
of an older version. What is signed is held against what was asked for and what the release says, in one place for
those who fetch and those who check.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from builder import log
from builder.packaging.model import SUFFIX, Package, Release
from builder.packaging.tag import bare_version


def find_mismatch(package: Package, board: str, release: Release) -> str:
    """Return how a description differs from what was asked for; "" where it does not.

    package  the description, whose signature is checked elsewhere
    board    under which name it was found
    release  what `release.json` beside it says; it is not signed
    """
    released = release.boards.get(board)
    known = f"{package.name}{SUFFIX}"
    strange = [file.name for file in (released.signed if released else ()) if not file.name.startswith(known)]
    findings = {
        f"what is called {board} is the board {package.board}": package.board != board,
        f"it is called {release.version}, and its description is of {package.version}": (
            bare_version(package.version) != bare_version(release.version)
        ),
        f"its tag is {release.tag}, and its version {release.version}": (
            bare_version(release.tag) != bare_version(release.version)
        ),
        f"release.json does not know the board {board}": released is None,
        f"what release.json says about {package.name} is not what its publisher wrote": (
            released is not None and package != released.package
        ),
        f"{next(iter(strange), '')} is no file of {package.name}": bool(strange),
    }
    return next((words for words, is_so in findings.items() if is_so), "")


def warn_of_age(package: Package) -> None:
    """Warn of an image that was to be the newest until a day that is past: a server may be keeping the newer one back,
    and an old signature stays a good one."""
    if 0 < package.valid_until < time.time():
        until = datetime.fromtimestamp(package.valid_until, tz=UTC)
        log.warn(
            f"{package.name} was meant to be the newest until {until:%Y-%m-%d}: the server may be keeping back a newer"
            " one, or there is none; look where its publisher announces them"
        )
