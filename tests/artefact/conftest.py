# SPDX-License-Identifier: MIT
"""A small image, and a directory for its artefacts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.units import MIB


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "card.img"
    with path.open("wb") as stream:
        stream.write(b"\x55\xaa" * 256)
        stream.seek(8 * MIB)
        stream.write(os.urandom(MIB))
        for source in sorted(Path(os.__file__).parent.glob("*.py")):
            stream.write(source.read_bytes())
        stream.truncate(32 * MIB + 512)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "dist"
