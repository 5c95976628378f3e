# SPDX-License-Identifier: MIT
"""Compare a packaged image with the requested one: a signature proves the author of a description, not its subject.

A server, or everyone with write access to a bucket, can answer with another image of the same publisher, of another
board or an older version. So the signed description is compared with the request and with the release. `fetch` and
`verify --release` use the same functions.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from builder import log
from builder.packaging.model import SUFFIX, PackagedImage, Release
from builder.packaging.tag import bare_version


def find_mismatch(package: PackagedImage, board: str, release: Release) -> str:
    """Return the first difference between a description and the request, or "".

    package  the description, whose signature the caller checks
    board    the requested board, or the name of the directory
    release  the content of `release.json`, which is not signed
    """
    released = release.boards.get(board)
    known = f"{package.name}{SUFFIX}"
    strange = [file.name for file in (released.signed if released else ()) if not file.name.startswith(known)]
    findings = {
        f"board: found {package.board}; expected {board}": package.board != board,
        f"version: found {package.version} in the description; expected {release.version}, as in release.json": (
            bare_version(package.version) != bare_version(release.version)
        ),
        f"version: found {release.version} in release.json; expected that of the tag {release.tag}": (
            bare_version(release.tag) != bare_version(release.version)
        ),
        f"release.json does not have the board {board}": released is None,
        f"release.json differs from the publisher's description of {package.name}": (
            released is not None and package != released.image
        ),
        f"{next(iter(strange), '')} is not a file of {package.name}": bool(strange),
    }
    return next((text for text, is_so in findings.items() if is_so), "")


def warn_of_age(package: PackagedImage) -> None:
    """Warn if the day has passed after which a newer image was expected.

    The server may hide a newer image, and the signature of the old one stays valid.
    """
    if 0 < package.valid_until < time.time():
        until = datetime.fromtimestamp(package.valid_until, tz=UTC)
        log.warn(
            f"{package.name}: a newer image was expected by {until:%Y-%m-%d}; the server may hide it, or there is none."
            " Check the announcements of its publisher"
        )
