# SPDX-License-Identifier: MIT
"""A journal with releasers that record what they are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.system.workspace import (
    Journal,
    open_journal,
)
from tests.support.journals import Recorder


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def journal(tmp_path: Path, recorder: Recorder) -> Iterator[Journal]:
    with open_journal(tmp_path, "x", recorder.releasers) as opened:
        yield opened
