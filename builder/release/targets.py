# SPDX-License-Identifier: MIT
"""Create the targets of `--to`. A new kind of target is a publisher and a row here.

Targets are published in the order of the rows: the one that notifies people first, those that programs poll last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.choices import CacheMode
from builder.errors import RecipeError
from builder.net.location import parse_location
from builder.net.retry import RetryPolicy
from builder.release.bucket import Bucket
from builder.release.directory import Directory
from builder.release.file_tree import Catalogue, FileTreePublisher
from builder.release.github import GitHubPublisher
from builder.release.github_api import RETRIES, Api, load_server
from builder.release.multipart import PART_BYTES
from builder.release.target import Publisher

REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
EXAMPLES = "github:OWNER/REPO, s3://BUCKET/PREFIX or dir:PATH"


@dataclass(frozen=True)
class PublisherConfig:
    """Settings of targets besides their address."""

    url: str = ""
    """Public URL of trees; empty if not known."""
    tag_object: str = ""
    """What the tag is in the checkout here."""
    policy: RetryPolicy = RETRIES
    """Of requests to GitHub."""
    part_bytes: int = PART_BYTES
    catalogue: Catalogue | None = None
    """Function that makes the files of the catalogue of a tree."""


def _github(text: str, setting: PublisherConfig) -> Publisher:
    repository = text.removeprefix("github:")
    if not REPOSITORY.fullmatch(repository):
        raise RecipeError(f"--to: found {text!r}; expected github:OWNER/REPO", hint="name the repository")
    return GitHubPublisher(Api(load_server(), setting.policy), repository, setting.tag_object)


def _s3(text: str, setting: PublisherConfig) -> Publisher:
    place = Bucket(parse_location(text, CacheMode.RW, "--to"), part_bytes=setting.part_bytes)
    return FileTreePublisher(place, setting.url, setting.catalogue)


def _dir(text: str, setting: PublisherConfig) -> Publisher:
    path = text.removeprefix("dir:")
    if not path:
        raise RecipeError("--to: found 'dir:'; expected dir:PATH", hint="add a directory, such as dir:public")
    return FileTreePublisher(Directory(Path(path).resolve()), setting.url, setting.catalogue)


TARGETS: Mapping[str, Callable[[str, PublisherConfig], Publisher]] = {
    "github": _github,
    "s3": _s3,
    "dir": _dir,
}
"""Kinds of targets by the text before the first colon."""


def make_publishers(texts: Sequence[str], setting: PublisherConfig) -> list[Publisher]:
    """Return the targets of --to, in the order of publishing; raise RecipeError for an invalid one."""
    if not texts:
        raise RecipeError("--to: missing; expected a target", hint=f"use {EXAMPLES}; repeat --to for several targets")
    kinds = list(TARGETS)
    for text in texts:
        if text.partition(":")[0] not in kinds or ":" not in text:
            shown = re.sub(r"//[^/@]*@", "//***@", text)  # Hides credentials.
            raise RecipeError(f"--to: found {shown!r}; expected {EXAMPLES}", hint="change the argument of --to")
    ordered = sorted(dict.fromkeys(texts), key=lambda text: kinds.index(text.partition(":")[0]))
    return [TARGETS[text.partition(":")[0]](text, setting) for text in ordered]
