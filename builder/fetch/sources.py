# SPDX-License-Identifier: MIT
"""Sources of published releases, for downloads.

    https://images.example.org/os    a tree: channels/<channel>.json, <tag>/release.json, <tag>/<board>/<file>
    file:///srv/os or /srv/os        the same, on this machine
    github:owner/repo                releases of GitHub: release.json and all files in one flat list per tag

A source gives a release by channel or version, and the URL of a file. Its answers are not trusted: fetch.py compares
them with signed data.
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
from builder.release.github_model import ListedRelease

STABLE, LATEST = "stable", "latest"
TAG = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
OWNER = r"([A-Za-z0-9][\w-]*)/([\w.-]+?)"
BOARD = r"[a-z0-9][a-z0-9-]*"
ALLOWED = "https://ADDRESS, file:///DIRECTORY, an existing directory, or github:OWNER/REPO"


class Source(Protocol):
    """A source of releases."""

    @property
    def name(self) -> str:
        """Name in messages, without credentials."""

    def newest(self, channel: str) -> Release:
        """Return the release of a channel. Raises DownloadError, ReleaseError and RecipeError."""

    def tagged(self, tag: str) -> Release | None:
        """Return the release of a tag, or None. Raises DownloadError and ReleaseError."""

    def address(self, tag: str, board: str, name: str) -> str:
        """Return the URL of a file of a release."""


def open_source(address: str) -> Source:
    """Return the source for the argument of --from, without a request; raise RecipeError for an invalid one."""
    if match := re.fullmatch(rf"(?:github:|https://github\.com/){OWNER}(?:/releases)?/?", address):
        return GitHubSource(match[1], match[2])
    parts = urlsplit(address)
    if (parts.scheme in ("http", "https") and parts.hostname) or parts.scheme == "file":
        return HttpSource(address.rstrip("/"))
    if address and not parts.scheme and Path(address).is_dir():
        return HttpSource(Path(address).resolve().as_uri())
    raise RecipeError(f"found the address {address}; expected an address of releases", hint=f"use {ALLOWED}")


def find_version(source: Source, version: str) -> Release:
    """Return the release of a version ("1.0") or tag ("v1.0"); raise RecipeError if it does not exist."""
    if not re.fullmatch(TAG, version):
        raise RecipeError(f"--version: found {version!r}; expected a version or a tag", hint="for example 1.0 or v1.0")
    tags = list(dict.fromkeys((f"v{version.removeprefix('v')}", version)))
    for tag in tags:
        if release := source.tagged(tag):
            return release
    raise RecipeError(f"{source.name} has no release {' or '.join(tags)}", hint="see its page index.html for the list")


@dataclass(frozen=True)
class HttpSource:
    """A directory, on a web server or on this machine."""

    base: str

    @property
    def name(self) -> str:
        """URL without credentials."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def newest(self, channel: str) -> Release:
        """Return the release in channels/<channel>.json."""
        check_channel_name(channel)
        path = f"channels/{channel}.json"
        content = find(f"{self.base}/{path}")
        if content is None:
            hint = "check the address; usual channels are stable and latest"
            raise DownloadError(f"{self.name} has no channel {channel} ({path})", hint=hint)
        loaded = load_channel(content, f"{self.name}/{path}")
        if loaded.channel != channel:
            raise TrustError(
                f"{self.name}/{path}: found the channel {loaded.channel}; expected {channel}", hint="check the server"
            )
        return loaded.release

    def tagged(self, tag: str) -> Release | None:
        """Return the release in <tag>/release.json."""
        content = find(f"{self.base}/{tag}/release.json")
        return _load(content, f"{self.name}/{tag}/release.json", tag) if content is not None else None

    def address(self, tag: str, board: str, name: str) -> str:
        """Return BASE/<tag>/<board>/<name>."""
        return "/".join((self.base, *map(quote, (tag, board, name))))


@dataclass(frozen=True)
class GitHubSource:
    """The releases of a repository. Channel stable is the newest release; latest includes pre-releases."""

    owner: str
    repository: str

    @property
    def name(self) -> str:
        """Name as in --from."""
        return f"github:{self.owner}/{self.repository}"

    @property
    def _releases(self) -> str:
        web = (os.environ.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
        return f"{web}/{self.owner}/{self.repository}/releases"

    def newest(self, channel: str) -> Release:
        """Return GitHub's latest release (stable), or the newest release or pre-release (latest)."""
        if channel == STABLE:
            url = f"{self._releases}/latest/download/release.json"
            if (content := find(url)) is None:
                hint = "if it has only pre-releases, use --channel latest"
                raise DownloadError(f"{self.name} has no release with a release.json", hint=hint)
            return _load(content, url)
        if channel == LATEST:
            tag = self._newest_tag()
            return _load(read(self.address(tag, "", "release.json")), f"{self.name}, {tag}", tag)
        raise RecipeError(f"--channel: {self.name} has no {channel}", hint="use stable or latest for GitHub")

    def tagged(self, tag: str) -> Release | None:
        """Return the release in the asset release.json."""
        content = find(self.address(tag, "", "release.json"))
        return _load(content, f"{self.name}, {tag}", tag) if content is not None else None

    def address(self, tag: str, board: str, name: str) -> str:
        """Return the URL of an asset. GitHub has no directories: the name alone identifies the board."""
        return f"{self._releases}/download/{quote(tag)}/{quote(name)}"

    def _newest_tag(self) -> str:
        """Return the newest tag of GitHub's list (https://docs.github.com/rest/releases/releases#list-releases)."""
        api = (os.environ.get("GITHUB_API_URL") or "https://api.github.com").rstrip("/")
        url = f"{api}/repos/{self.owner}/{self.repository}/releases?per_page=30"
        for release in _load_list(read(url), self.name):  # Newest first.
            names = {asset.name for asset in release.assets}
            if "release.json" in names and not release.draft and re.fullmatch(TAG, release.tag_name):
                return release.tag_name
        raise DownloadError(f"{self.name} has no release with a release.json", hint="see its page of releases")


def check_channel_name(channel: str) -> None:
    """Raise RecipeError for an invalid name of a channel."""
    if not re.fullmatch(CHANNEL_NAME, channel):
        message = f"--channel: found {channel!r}; expected lower-case letters, digits and dashes"
        raise RecipeError(message, hint="use stable or latest")


def _load(content: bytes, source: str, tag: str = "") -> Release:
    release = load_release(content, source)
    if tag and release.tag != tag:
        raise TrustError(f"{source}: found the release {release.tag}; expected {tag}", hint="check the server")
    return release


def _load_list(content: bytes, source: str) -> list[ListedRelease]:
    try:
        return TypeAdapter(list[ListedRelease]).validate_json(content)
    except ValidationError as error:
        problem = f"the response is not a list of releases: {explain(error)}"
        raise ReleaseError(f"{source}: {problem}", hint="try again later") from None
