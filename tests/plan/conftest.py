# SPDX-License-Identifier: MIT
"""Boards to plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recipes import GOOD, write_board


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """A directory of boards with `good` in it."""
    write_board(tmp_path / "boards", "good", GOOD)
    return tmp_path / "boards"
