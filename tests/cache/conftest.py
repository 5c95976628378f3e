# SPDX-License-Identifier: MIT
"""Stores of several machines with one bucket behind them, and their builds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from builder.cache.remote import open_remote
from builder.cache.store import Store
from builder.choices import CacheMode
from builder.net import s3
from builder.net.location import load_location
from tests.support.bucket import Bucket
from tests.support.shared_store import Machine


@pytest.fixture
def short_timeouts(aws_user: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "READ_S", 2)


@pytest.fixture
def runs() -> Iterator[ExitStack]:
    """The builds of a test: `runs.close()` is their end."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def machine(tmp_path: Path, bucket: Bucket, runs: ExitStack) -> Machine:
    """Return a store of a machine with the bucket behind it; one name, one state directory."""

    def make(name: str, *, mode: str = "rw", location: str = "") -> Store:
        place = load_location(location or bucket.location, CacheMode(mode))
        assert place
        return Store(tmp_path / name, runs.enter_context(open_remote(place)))

    return make
