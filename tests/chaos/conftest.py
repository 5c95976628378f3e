# SPDX-License-Identifier: MIT
"""A place for each test, with the board `tiny` in it, that must be as clean at the end as any."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.cache.store import Store
from builder.choices import Engine
from builder.doctor.doctor import give_back
from builder.rootfs.apt.archives import Archives
from builder.rootfs.apt.sources import collect_keys
from tests.support.chaos import Place
from tests.support.known_package import link_indexes, link_store


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path.resolve())
    made.add_board()
    yield made
    give_back(made.state, engine=Engine.LOCAL)  # A failing test must not leave its loop devices to the next.


@pytest.fixture(scope="session")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache with Debian's indexes, and the packages of the lowest layer of the board `tiny`."""
    directory = tmp_path_factory.mktemp("downloaded")
    place = Place(directory)
    place.add_board()
    plan, cache = place.plan(), place.state / "cache"
    archives = Archives(plan, collect_keys(plan.recipe.archives, cache), cache=cache, log_file=directory / "log")
    archives.provide(
        archives.resolve().base, Store(cache / "store"), debs=directory / "debs", lists=directory / "lists"
    )
    yield cache
    shutil.rmtree(directory)


@pytest.fixture
def supplied(place: Place, downloaded: Path) -> Place:
    """A place whose builds download nothing, so that a rootfs is soon begun."""
    link_store(downloaded, place.state / "cache")
    link_indexes(place.plan(), downloaded, place.state / "cache")
    return place
