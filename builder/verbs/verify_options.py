# SPDX-License-Identifier: MIT
"""Make the options of a verification from the options of `verify` and `boot`."""

from __future__ import annotations

from pathlib import Path

from builder.choices import Level
from builder.verify.verify import Wish


def make_wish(
    boards: Path, board: str, *, level: Level, only: str, report: Path | None, user_data: Path | None
) -> Wish:
    """Return the options of a verification, with absolute paths."""
    levels = [name.value for name in Level]
    return Wish(
        boards=boards.resolve(),
        board=board,
        user_data=user_data.absolute() if user_data else None,
        levels=levels[: levels.index(level.value) + 1],
        only=only,
        reports=report.resolve() if report else None,
    )
