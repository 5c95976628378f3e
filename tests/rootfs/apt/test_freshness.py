# SPDX-License-Identifier: MIT
"""Whether archives have news, asked without apt; and that a doubt is always "ask apt"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.recipe.model import Archive as Recipe
from builder.rootfs.apt.freshness import digest_releases, find_releases, has_changed
from tests.support.archive import DAY_S, Archive

pytestmark = pytest.mark.machine


@pytest.fixture
def archive(make_archive: Callable[[], Archive]) -> Archive:
    one = make_archive()
    one.add("tool")
    one.publish()
    return one


def know(archive: Archive, directory: Path) -> list[str]:
    """Return what an apt that has just asked would know."""
    directory.mkdir(exist_ok=True)
    release = archive.directory / "dists/trixie/InRelease"
    (directory / "archive_dists_trixie_InRelease").write_bytes(release.read_bytes())
    return digest_releases(directory)


def urls(archive: Archive) -> tuple[str, ...]:
    key = {"file": "/usr/share/keyrings/x.gpg"}
    return find_releases({"a": Recipe.model_validate({"url": archive.url + "/", "suites": ["trixie"], "key": key})})


def test_one_address_for_each_suite() -> None:
    archives = {
        name: Recipe.model_validate({"url": f"http://{name}.test/debian", "suites": suites, "key": {"file": "k"}})
        for name, suites in {"b": ["trixie"], "a": ["trixie", "trixie-updates"]}.items()
    }
    assert find_releases(archives) == (
        "http://a.test/debian/dists/trixie-updates/InRelease",
        "http://a.test/debian/dists/trixie/InRelease",
        "http://b.test/debian/dists/trixie/InRelease",
    )


def test_the_same_signed_index_is_no_news(archive: Archive, tmp_path: Path) -> None:
    assert not has_changed(urls(archive), know(archive, tmp_path / "lists"))


def test_another_index_is(archive: Archive, tmp_path: Path) -> None:
    known = know(archive, tmp_path / "lists")
    archive.add("tool", "2.0")
    archive.publish()
    assert has_changed(urls(archive), known)


def test_the_same_index_that_has_expired_is(archive: Archive, tmp_path: Path) -> None:
    archive.publish(ages_s=(-2 * DAY_S, -DAY_S))
    assert has_changed(urls(archive), know(archive, tmp_path / "lists"))


@pytest.mark.parametrize("away", ["no such file", "no server", "one suite more"])
def test_what_cannot_be_said_is(archive: Archive, tmp_path: Path, away: str) -> None:
    known, addresses = know(archive, tmp_path / "lists"), urls(archive)
    if away == "no such file":
        (archive.directory / "dists/trixie/InRelease").unlink()
    if away == "no server":
        addresses = ("http://127.0.0.1:9/dists/trixie/InRelease",)
    if away == "one suite more":
        addresses = (*addresses, f"{archive.url}/dists/other/InRelease")
    assert has_changed(addresses, known)


def test_nothing_known_is(archive: Archive) -> None:
    assert has_changed(urls(archive), [])
    assert has_changed((), [])
