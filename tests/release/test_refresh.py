# SPDX-License-Identifier: MIT
"""The catalogue of a tree, made again by one or by two at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.errors import ReleaseError
from builder.release.addresses import Addresses
from builder.release.refresh import refresh
from tests.release.published import Published

ADDRESSES = Addresses("https://images.example.org/os")
CHANNELS = ("stable", "latest")


class ConflictError(Exception):
    """Somebody else has written."""


@dataclass(frozen=True)
class File:
    content: bytes

    @property
    def mark(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class Directory:
    """A place that only writes over what its caller has read. `before_write` is what others do meanwhile."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.before_write: Callable[[str], None] = lambda _: None
        self.before_read: Callable[[str], None] = lambda _: None
        self.written: list[str] = []

    def read(self, key: str) -> File | None:
        self.before_read(key)
        path = self.root / key
        return File(path.read_bytes()) if path.is_file() else None

    def write(self, key: str, content: bytes, *, mark: str | None, lasting: bool) -> None:
        self.before_write(key)
        path = self.root / key
        there = File(path.read_bytes()).mark if path.is_file() else None
        if there != mark:
            raise ConflictError
        assert not lasting
        path.write_bytes(content)
        self.written.append(key)


@pytest.fixture
def published(tmp_path: Path) -> Published:
    made = Published(tmp_path, None)
    made.name("stable", made.release("v0.9"))
    made.name("stable", made.release("v1.0"))
    return made


@pytest.fixture
def shelf(published: Published) -> Directory:
    return Directory(published.tree)


def update(shelf: Directory) -> list[str]:
    return refresh(shelf, CHANNELS, ADDRESSES, conflict=ConflictError)


def listed(shelf: Directory) -> str:
    return json.dumps(json.loads((shelf.root / "os-list.json").read_bytes())["os_list"])


def test_it_lists_what_channels_name_and_have_named(shelf: Directory) -> None:
    assert sorted(update(shelf)) == [
        "boardwright-rpi-0.9.rpi-imager-manifest",
        "boardwright-rpi-1.0.rpi-imager-manifest",
        "boardwright.svg",
        "index.html",
        "os-list.json",
    ]
    assert "Boardwright 1.0" in listed(shelf)
    assert "Boardwright 0.9" in listed(shelf)


def test_a_second_time_nothing_is_written(shelf: Directory) -> None:
    update(shelf)
    assert update(shelf) == []


def test_a_new_release_changes_only_what_names_it(shelf: Directory, published: Published) -> None:
    update(shelf)
    published.name("latest", published.release("v1.1-rc1"))
    assert sorted(update(shelf)) == ["boardwright-rpi-1.1-rc1.rpi-imager-manifest", "index.html", "os-list.json"]


def test_a_release_that_was_taken_away_is_left_out(shelf: Directory, published: Published) -> None:
    (published.tree / "v0.9/release.json").unlink()
    update(shelf)
    assert "Boardwright 0.9" not in listed(shelf)


def test_of_two_at_once_none_is_missing(shelf: Directory, published: Published) -> None:
    """Another release goes into a channel, and its catalogue is written, between our reading and our writing."""
    other = Directory(shelf.root)

    def meanwhile(key: str) -> None:
        shelf.before_write = lambda _: None
        published.name("latest", published.release("v1.1-rc1"))
        update(other)

    shelf.before_write = meanwhile
    update(shelf)
    assert "Boardwright 1.1-rc1" in listed(shelf)
    assert "Boardwright 1.0" in listed(shelf)


def test_a_channel_that_moves_while_files_are_read_is_seen(shelf: Directory, published: Published) -> None:
    def meanwhile(key: str) -> None:
        if key == "index.html":
            shelf.before_read = lambda _: None
            published.name("latest", published.release("v1.1-rc1"))

    shelf.before_read = meanwhile
    update(shelf)
    assert "Boardwright 1.1-rc1" in listed(shelf)


def test_when_others_write_all_the_time_it_is_given_up(shelf: Directory) -> None:
    count = iter(range(1000))

    def meanwhile(key: str) -> None:
        (shelf.root / key).write_text(str(next(count)), encoding="utf-8")

    shelf.before_write = meanwhile
    with pytest.raises(ReleaseError, match="changed by others 20 times") as caught:
        update(shelf)
    assert "run the same again" in caught.value.hint


def test_a_broken_channel_is_an_error(shelf: Directory) -> None:
    (shelf.root / "channels/stable.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"channels/stable\.json"):
        update(shelf)
