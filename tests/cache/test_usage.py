# SPDX-License-Identifier: MIT
"""The size limit of all caches, and what it must not take away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.cache.store import Store
from builder.cache.usage import find_items, in_use, shrink
from builder.system.workspace import open_workspace

KIB = 1024


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """One thing of each kind, 64 KiB, used in this order."""
    state = tmp_path / "state"
    source = tmp_path / "a.deb"
    source.write_bytes(b"deb" * 20_000)
    store = Store(state / "cache/store")
    digest = store.add(source)
    store.set_ref("deb/a_1_all.deb", digest, {"name": "a"})
    (package,) = (entry.path for entry in store.entries())
    paths = [package]
    for path in (
        "cache/files/0a0b",
        "cache/apt/0c0d/lists",
        "cache/twins/apt-amd64-arm64/lists",
        "cache/twins/trixie-amd64-for-arm64-0e/ls",
        "cache/layers/base-trixie-arm64-0f/tree",
        "rooms/rpi/rootfs/tree/file",
    ):
        file = state / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 60_000)
        paths.append(file if "files" in path else file.parent)
    for index, directory in ((-2, "cache/layers/base-trixie-arm64-0f"), (-1, "rooms/rpi/rootfs")):
        paths[index] = state / directory / "made.json"
        paths[index].write_text("{}")
    (state / "cache/layers/.base-trixie-arm64-0f.lock").touch()
    for age, used in enumerate(paths):
        os.utime(used, (1000 + age, 1000 + age))
    return state


NAMES = [
    ("package", "a_1_all.deb"),
    ("download", "0a0b"),
    ("index", "0c0d"),
    ("index", "apt-amd64-arm64"),
    ("twins", "trixie-amd64-for-arm64-0e"),
    ("layer", "base-trixie-arm64-0f"),
    ("rootfs", "rpi"),
]


def names(state: Path) -> list[tuple[str, str]]:
    return [(item.kind, item.name) for item in find_items(state)]


def test_all_is_listed_with_its_size(state: Path) -> None:
    assert names(state) == NAMES
    assert all(55 * KIB < item.size_bytes < 80 * KIB for item in find_items(state))


def test_nothing_is_kept_where_nothing_was_built(tmp_path: Path) -> None:
    assert find_items(tmp_path / "none") == []
    assert shrink(tmp_path / "none", 0) == []


@pytest.mark.parametrize("left", range(8))
def test_what_was_not_used_for_longest_goes_first(state: Path, left: int) -> None:
    removed = shrink(state, left * 70 * KIB)
    assert [(item.kind, item.name) for item in removed] == NAMES[: 7 - left]
    assert names(state) == NAMES[7 - left :]


def test_while_a_build_runs_only_packages_and_idle_rooms_go(state: Path) -> None:
    with in_use(state):
        removed = shrink(state, 0)
    assert {item.kind for item in removed} == {"package", "rootfs"}
    assert len(shrink(state, 0)) == 5


def test_a_room_in_use_stays(state: Path) -> None:
    with open_workspace(state, "rpi"):
        assert "rootfs" not in {item.kind for item in shrink(state, 0)}
        assert (state / "rooms/rpi/rootfs/tree/file").exists()
    assert [item.kind for item in shrink(state, 0)] == ["rootfs"]


def test_a_removal_that_was_cut_short_is_finished(state: Path) -> None:
    doomed = [state / "rooms/rpi/.rootfs.0a.doomed", state / "cache/layers/.base.0b.doomed"]
    for directory in doomed:
        directory.mkdir()
        (directory / "file").touch()
    shrink(state, 10**9)
    assert not any(directory.exists() for directory in doomed)
    assert names(state) == NAMES
