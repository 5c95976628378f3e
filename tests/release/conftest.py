# SPDX-License-Identifier: MIT
"""A key, published releases, and a server of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import http
from tests.release.published import Published, Server, serving
from tests.release.signer import Signer


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture(scope="session")
def other_signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("keys"), "other")


@pytest.fixture
def published(tmp_path: Path, signer: Signer) -> Published:
    """v1.0 of two boards in the channel stable."""
    made = Published(tmp_path / "srv", signer)
    made.name("stable", made.release("v1.0"))
    return made


@pytest.fixture
def server(published: Published, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(http, "BACKOFF_S", 0.01)
    with serving(published.tree) as running:
        yield running
