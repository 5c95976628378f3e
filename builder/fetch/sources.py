# SPDX-License-Identifier: MIT
"""Where releases are published, as one who fetches them sees it.

    https://images.example.org/os    a tree: channels/<channel>.json, <tag>/release.json, <tag>/<board>/<file>
    file:///srv/os or /srv/os        the same, on this machine
    github:owner/repo                releases of GitHub: release.json and all files beside each other, by tag

A place is asked for two things: a release by channel or by version, and the address of a file of it. What it answers
is not trusted: builder/fetch/fetch.py holds it against what was signed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from pydantic import TypeAdapter, ValidationError

from builder.errors import DownloadError, RecipeError, ReleaseError, TrustError
from builder.fetch.read import find, read
from builder.packaging.model import CHANNEL_NAME, Release, load_channel, load_release
from builder.recipe.described import explain
from builder.release.github_model import Listed

STABLE, LATEST = "stable", "latest"
TAG = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
OWNER = r"([A-Za-z0-9][\w-]*)/([\w.-]+?)"
BOARD = r"[a-z0-9][a-z0-9-]*"
ALLOWED = "give https://ADDRESS, file:///DIRECTORY, a directory, or github:OWNER/REPO"


class Source(Protocol):
    """A place with releases."""

    @property
    def name(self) -> str:
        """How it is called in messages; no credentials in it."""

    def newest(self, channel: str) -> Release:
        """Return the release that a channel names; DownloadError, ReleaseError and RecipeError."""

    def tagged(self, tag: str) -> Release | None:
        """Return a release by its tag, None when there is none; DownloadError and ReleaseError."""

    def address(self, tag: str, board: str, name: str) -> str:
        """Return where a file of a release is."""


def open_source(place: str) -> Source:
    """Return the place that --from names; RecipeError when it is none. Nothing is asked yet."""
    if match := re.fullmatch(rf"(?:github:|https://github\.com/){OWNER}(?:/releases)?/?", place):
        return GitHub(match[1], match[2])
    parts = urlsplit(place)
    if (parts.scheme in ("http", "https") and parts.hostname) or parts.scheme == "file":
        return Tree(place.rstrip("/"))
    if place and not parts.scheme and Path(place).is_dir():
        return Tree(Path(place).resolve().as_uri())
    raise RecipeError(f"{place} is no place with releases", hint=ALLOWED)


def find_version(source: Source, version: str) -> Release:
    """Return the release of a version ("1.0") or tag ("v1.0"); RecipeError when there is none."""
    if not re.fullmatch(TAG, version):
        raise RecipeError(f"--version: {version!r} is no version", hint="such as 1.0, or the tag v1.0")
    tags = list(dict.fromkeys((f"v{version.removeprefix('v')}", version)))
    for tag in tags:
        if release := source.tagged(tag):
            return release
    raise RecipeError(f"{source.name} has no release {' or '.join(tags)}", hint="its page index.html lists them all")


@dataclass(frozen=True)
class Tree:
    """A directory, on a web server or on this machine."""

    base: str

    @property
    def name(self) -> str:
        """The address without credentials."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def newest(self, channel: str) -> Release:
        """Return what channels/<channel>.json names."""
        check_channel_name(channel)
        where = f"channels/{channel}.json"
        content = find(f"{self.base}/{where}")
        if content is None:
            hint = "look whether the address is right; the channels of a place are usually stable and latest"
            raise DownloadError(f"{self.name} has no channel {channel} ({where})", hint=hint)
        found = load_channel(content, f"{self.name}/{where}")
        if found.channel != channel:
            raise TrustError(
                f"{self.name}/{where} is the file of the channel {found.channel}", hint="look at the server"
            )
        return found.release

    def tagged(self, tag: str) -> Release | None:
        """Return what <tag>/release.json says."""
        content = find(f"{self.base}/{tag}/release.json")
        return _load(content, f"{self.name}/{tag}/release.json", tag) if content is not None else None

    def address(self, tag: str, board: str, name: str) -> str:
        """Below the tag, by board."""
        return "/".join((self.base, *map(quote, (tag, board, name))))


@dataclass(frozen=True)
class GitHub:
    """The releases of a repository. Its channels: stable is the newest release, latest also pre-releases."""

    owner: str
    repository: str

    @property
    def name(self) -> str:
        """As it was given."""
        return f"github:{self.owner}/{self.repository}"

    @property
    def _releases(self) -> str:
        web = (os.environ.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
        return f"{web}/{self.owner}/{self.repository}/releases"

    def newest(self, channel: str) -> Release:
        """Return the release that GitHub calls the latest, or the newest of all."""
        if channel == STABLE:
            place = f"{self._releases}/latest/download/release.json"
            if (content := find(place)) is None:
                hint = "look whether it has a release that is no pre-release; --channel latest takes those too"
                raise DownloadError(f"{self.name} has no release with a release.json", hint=hint)
            return _load(content, place)
        if channel == LATEST:
            tag = self._newest_tag()
            return _load(read(self.address(tag, "", "release.json")), f"{self.name}, {tag}", tag)
        raise RecipeError(f"--channel: {self.name} has no {channel}", hint="GitHub has the channels stable and latest")

    def tagged(self, tag: str) -> Release | None:
        """Return what the file release.json beside the others says."""
        content = find(self.address(tag, "", "release.json"))
        return _load(content, f"{self.name}, {tag}", tag) if content is not None else None

    def address(self, tag: str, board: str, name: str) -> str:
        """GitHub has no directories: the name alone has to say the board."""
        return f"{self._releases}/download/{quote(tag)}/{quote(name)}"

    def _newest_tag(self) -> str:
        """Ask GitHub's API (https://docs.github.com/rest/releases/releases#list-releases): the newest is first."""
        api = (os.environ.get("GITHUB_API_URL") or "https://api.github.com").rstrip("/")
        place = f"{api}/repos/{self.owner}/{self.repository}/releases?per_page=30"
        for each in _load_list(read(place), self.name):
            names = {asset.name for asset in each.assets}
            if "release.json" in names and not each.draft and re.fullmatch(TAG, each.tag_name):
                return each.tag_name
        raise DownloadError(f"{self.name} has no release with a release.json", hint="look at its page of releases")


def check_channel_name(channel: str) -> None:
    """Raise RecipeError when it can be no channel."""
    if not re.fullmatch(CHANNEL_NAME, channel):
        raise RecipeError(f"--channel: {channel!r} is no name of a channel", hint="usually stable or latest")


def _load(content: bytes, place: str, tag: str = "") -> Release:
    release = load_release(content, place)
    if tag and release.tag != tag:
        raise TrustError(f"{place} describes the release {release.tag}, wanted is {tag}", hint="look at the server")
    return release


def _load_list(content: bytes, place: str) -> list[Listed]:
    try:
        return TypeAdapter(list[Listed]).validate_json(content)
    except ValidationError as error:
        problem = f"what its list of releases holds is no list of releases: {explain(error)}"
        raise ReleaseError(f"{place}: {problem}", hint="try again later") from None
