# SPDX-License-Identifier: MIT
"""Files that a build announces: read, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.artefact.files import Artefact
from builder.engine.docker.hand_out import read_announced
from builder.errors import BoardwrightError
from tests.support.hostile import check_message

ROW = {"path": "/build/dist/x", "size": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    "rows",
    [
        "text",
        5,
        [5],
        [{"path": "/x"}],
        [ROW | {"path": 5}],
        [ROW | {"path": "/"}],
        [ROW | {"path": "/build/.."}],
        [ROW | {"path": "/build/a\0b"}],
        [ROW | {"size": -1}],
        [ROW | {"size": "many"}],
        [ROW | {"size": float("inf")}],
        [ROW | {"size": 10**400}],
        [ROW | {"path": "/build/a\nb"}],
        [ROW | {"path": "/build/\u202ea"}],
        [ROW | {"path": ["x" * 5000] * 50}],
        [ROW | {"sha256": "0" * 63}],
        [ROW, ROW],
    ],
)
def test_what_a_container_announces_is_checked(rows: object) -> None:
    with pytest.raises(BoardwrightError, match="the build announced") as caught:
        read_announced(rows)
    check_message(caught.value.message)


def test_what_a_container_announces_is_read() -> None:
    assert read_announced([ROW]) == [Artefact(Path("/build/dist/x"), 1, "0" * 64)]
