# SPDX-License-Identifier: MIT
"""The two ways in which files come out of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.artefact.files import Artefact
from builder.engine.docker import run
from tests.support.container_files import CONTENTS, describe

WAYS = ("layer", "pack")
"""How artefacts come out: from the Engine's storage, where it may be read, or through the Engine."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pack":
        monkeypatch.setattr(run, "find_layer", lambda *_: None)
    return str(request.param)


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "find_layer", lambda *_: None)


@pytest.fixture
def made(tmp_path: Path) -> list[Artefact]:
    source = tmp_path / "source"
    source.mkdir()
    for name, content in CONTENTS.items():
        (source / name).write_bytes(content)
    return [describe(source / name) for name in CONTENTS]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target"
    path.mkdir()
    return path
