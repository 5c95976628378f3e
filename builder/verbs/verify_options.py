# SPDX-License-Identifier: MIT
"""Make the options of a verification from the options of `verify` and `boot`."""

from __future__ import annotations

from pathlib import Path

from builder.choices import Level
from builder.verify.verify import VerifyOptions


def make_options(
    boards: Path, board: str, *, level: Level, only: str, report: Path | None, user_data: Path | None
) -> VerifyOptions:
    """Return the options of a verification, with absolute paths."""
    levels = [name.value for name in Level]
    return VerifyOptions(
        boards=boards.resolve(),
        board=board,
        user_data=user_data.absolute() if user_data else None,
        levels=levels[: levels.index(level.value) + 1],
        only=only,
        reports=report.resolve() if report else None,
    )
