# SPDX-License-Identifier: MIT
"""A place for each test, with the board `tiny` in it, that must be as clean at the end as any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.engine.doctor import give_back
from tests.chaos.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path.resolve())
    made.add_board()
    yield made
    give_back(made.state, engine="local")  # A failing test must not leave its loop devices to the next.
