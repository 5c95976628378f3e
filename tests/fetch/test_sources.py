# SPDX-License-Identifier: MIT
"""Places with releases: trees on a server and on this machine, a stand-in for GitHub, and what is no such place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import DownloadError, RecipeError, ReleaseError, TrustError
from builder.fetch.download import download_release
from builder.fetch.sources import GitHubSource, HttpSource, find_version, open_source
from builder.packaging.model import load_channel, render
from tests.support.published import Published, Server

pytestmark = pytest.mark.machine

Place = Callable[[Server, Published], str]
PLACES: list[Place] = [
    lambda server, _: server.url,
    lambda server, _: server.url + "/",
    lambda _, published: published.tree.as_uri(),
    lambda _, published: str(published.tree),
]


@pytest.mark.parametrize("place", PLACES)
def test_a_tree_has_channels_and_releases(server: Server, published: Published, place: Place) -> None:
    source = open_source(place(server, published))
    assert source.newest("stable").tag == "v1.0"
    assert find_version(source, "1.0") == find_version(source, "v1.0") == source.newest("stable")
    assert source.tagged("v9") is None
    assert source.address("v1.0", "rpi", "a+b").endswith("/v1.0/rpi/a%2Bb")


@pytest.mark.parametrize("place", PLACES)
def test_a_channel_that_is_not_there_is_an_error_with_a_hint(
    server: Server, published: Published, place: Place
) -> None:
    with pytest.raises(DownloadError, match=r"has no channel beta \(channels/beta.json\)") as caught:
        open_source(place(server, published)).newest("beta")
    assert "stable and latest" in caught.value.hint


@pytest.mark.parametrize("channel", ["", "../v1.0/release", "Stable", "a b", "stable\n"])
def test_what_is_no_name_of_a_channel_is_never_asked_for(server: Server, channel: str) -> None:
    with pytest.raises(RecipeError, match="expected lower-case letters"):
        open_source(server.url).newest(channel)
    assert not server.asked


@pytest.mark.parametrize("version", ["", "../v1.0", "v1/0", "-1", "1.0\n"])
def test_what_is_no_version_is_never_asked_for(server: Server, version: str) -> None:
    with pytest.raises(RecipeError, match="expected a version or a tag"):
        find_version(open_source(server.url), version)
    assert not server.asked


def test_a_version_that_is_not_there_is_an_error(server: Server) -> None:
    with pytest.raises(RecipeError, match=r"has no release v3.0 or 3.0"):
        find_version(open_source(server.url), "3.0")


def test_a_tag_without_v_is_found(server: Server, published: Published) -> None:
    published.release("2026.1")
    assert find_version(open_source(server.url), "2026.1").tag == "2026.1"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\x00\xff", b"<html>captive portal</html>"])
def test_what_is_no_channel_is_an_error(server: Server, published: Published, content: bytes) -> None:
    (published.tree / "channels/stable.json").write_bytes(content)
    with pytest.raises(ReleaseError, match=r"channels/stable\.json"):
        open_source(server.url).newest("stable")


def test_another_channel_under_that_name_is_refused(server: Server, published: Published) -> None:
    published.name("latest", published.release("v1.1-rc1"))
    shutil.copy(published.tree / "channels/latest.json", published.tree / "channels/stable.json")
    with pytest.raises(TrustError, match="found the channel latest; expected"):
        open_source(server.url).newest("stable")


def test_another_release_under_that_tag_is_refused(server: Server, published: Published) -> None:
    published.release("v0.9")
    shutil.copy(published.tree / "v0.9/release.json", published.tree / "v1.0/release.json")
    with pytest.raises(TrustError, match=r"found the release v0\.9; expected v1\.0"):
        find_version(open_source(server.url), "1.0")


@pytest.mark.parametrize("board", ["../../etc", "/etc", "", ".", "a/b", "rpi\n"])
def test_a_board_that_leads_elsewhere_is_refused(server: Server, published: Published, board: str) -> None:
    path = published.tree / "channels/stable.json"
    channel = load_channel(path.read_bytes(), path)
    boards = {board: channel.release.boards["rpi"]}
    path.write_bytes(
        render(channel.model_copy(update={"release": channel.release.model_copy(update={"boards": boards})}))
    )
    with pytest.raises(
        ReleaseError, match=r"stable\.json: release\.boards\..*: found .*; expected the name of a board"
    ):
        open_source(server.url).newest("stable")


@pytest.mark.parametrize("place", ["", "nowhere", "ftp://a/b", "https://", "github:a", "github:a/b/c", "s3://bucket/x"])
def test_what_is_no_place_is_an_error_that_names_the_places(place: str) -> None:
    with pytest.raises(RecipeError, match="expected an address of releases") as caught:
        open_source(place)
    assert "github:OWNER/REPO" in caught.value.hint


def test_credentials_are_not_in_the_name() -> None:
    assert open_source("https://joe:hunter2@example.org/os?x=y").name == "https://example.org/os"


@pytest.mark.parametrize(
    "place",
    [
        "github:a-b/c.d",
        "https://github.com/a-b/c.d",
        "https://github.com/a-b/c.d/",
        "https://github.com/a-b/c.d/releases",
    ],
)
def test_a_repository_can_be_named_by_its_page(place: str) -> None:
    assert open_source(place) == GitHubSource("a-b", "c.d")
    assert isinstance(open_source("https://github.example/a-b/c.d"), HttpSource)


@pytest.fixture
def github(server: Server, published: Published, monkeypatch: pytest.MonkeyPatch) -> Server:
    """GitHub as one who downloads sees it: releases by tag, flat; `latest` leads to one; a list in the API."""
    published.release("v1.1-rc1")
    downloads = published.tree / "o/r/releases/download"
    for tag in ("v1.0", "v1.1-rc1"):
        (downloads / tag).mkdir(parents=True)
        for path in (published.tree / tag).rglob("*.*"):
            if path.is_file():
                shutil.copy(path, downloads / tag / path.name)
    server.redirects["/o/r/releases/latest/download/release.json"] = "/o/r/releases/download/v1.0/release.json"
    tags = [("v1.2", True, True), ("v1.1", False, False), ("v1.1-rc1", False, True), ("v1.0", False, True)]
    listed = [
        {"tag_name": tag, "draft": draft, "assets": [{"name": "release.json"}] if described else []}
        for tag, draft, described in tags
    ]
    api = published.tree / "repos/o/r/releases"
    api.parent.mkdir(parents=True)
    api.write_text(json.dumps(listed), encoding="utf-8")
    for name in ("GITHUB_SERVER_URL", "GITHUB_API_URL"):
        monkeypatch.setenv(name, server.url)
    return server


def test_github_has_the_channels_stable_and_latest(github: Server) -> None:
    source = open_source("github:o/r")
    assert source.newest("stable").tag == "v1.0"
    assert source.newest("latest").tag == "v1.1-rc1", "a draft and a release of something else do not count"
    assert find_version(source, "1.1-rc1").tag == "v1.1-rc1"
    assert source.address("v1.0", "rpi", "x").endswith("/o/r/releases/download/v1.0/x")
    with pytest.raises(RecipeError, match="has no beta"):
        source.newest("beta")


@pytest.mark.parametrize("content", ["[]", '[{"tag_name": "../x", "assets": [{"name": "release.json"}]}]'])
def test_a_repository_without_releases_is_an_error(github: Server, published: Published, content: str) -> None:
    (published.tree / "repos/o/r/releases").write_text(content, encoding="utf-8")
    with pytest.raises(DownloadError, match="has no release with a"):
        open_source("github:o/r").newest("latest")
    with pytest.raises(DownloadError, match="has no release with a"):
        open_source("github:o/other").newest("stable")


@pytest.mark.parametrize("content", ["", "{}", "[1]", "<html>", "[" * 100_000])
def test_a_list_that_is_none_is_an_error(github: Server, published: Published, content: str) -> None:
    (published.tree / "repos/o/r/releases").write_text(content, encoding="utf-8")
    with pytest.raises(ReleaseError, match="not a list of releases"):
        open_source("github:o/r").newest("latest")


def test_a_release_of_github_is_downloaded(github: Server, tmp_path: Path) -> None:
    made = download_release("github:o/r@v1.0/rpi", tmp_path / "into")
    assert (made / "boardwright-rpi-1.0.img.xz").is_file()
