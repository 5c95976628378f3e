# SPDX-License-Identifier: MIT
"""GitHub as a target of releases: the double, a clock that stands, and packages made as they are needed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from builder.packaging.model import Release, load_release
from builder.packaging.tag import load_tag
from builder.release.channels import choose_channels
from builder.release.github import GitHubPublisher
from builder.release.github_api import RETRIES, Api, load_server
from builder.release.publish import PublishRequest, TargetResult, publish
from tests.support.github.double import Front
from tests.support.github.state import COMMIT, REPOSITORY
from tests.support.packaged import make_package, ship

UPLOAD = "POST .*/assets"
IMAGE = r"POST .*name=boardwright-rpi-1\.0\.img\.xz"


@dataclass
class GitHubTarget:
    """GitHub, a clock that runs without waiting, and packages made as they are needed."""

    front: Front
    root: Path
    slept: list[float] = field(default_factory=list)
    repository: str = REPOSITORY
    tag_object: str = COMMIT

    def publisher(self) -> GitHubPublisher:
        policy = replace(RETRIES, sleep=self.slept.append, now=lambda: 1_800_000_000.0 + sum(self.slept))
        return GitHubPublisher(Api(load_server(), policy), self.repository, self.tag_object)

    def order(self, tag: str = "v1.0", *, seed: str = "", back: bool = False, size_bytes: int = 3000) -> PublishRequest:
        packages = self.root / f"packages-{tag}{seed}"
        if not packages.exists():
            rows = {"bash": tag}
            make_package(packages, "rpi", load_tag(tag).version, seed=seed, rows=rows, size_bytes=size_bytes)
        choice = choose_channels(load_tag(tag), (), back=back)
        return PublishRequest(ship(packages, tag), choice, "", self.root, lambda: datetime.now(UTC))

    def release(self, tag: str = "v1.0", *, seed: str = "", back: bool = False) -> tuple[Release, TargetResult]:
        release, (done,) = publish([self.publisher()], self.order(tag, seed=seed, back=back))
        return release, done

    def check(self, tag: str = "v1.0") -> None:
        """The release is public and complete, there is nothing else, and every byte is right."""
        state = self.front.state
        assert [each["tag_name"] for each in state.releases.values()].count(tag) == 1
        assert not state.release(tag)["draft"]
        contents = state.contents(tag)
        release = load_release(contents["release.json"], "")
        files = release.boards["rpi"].files
        assert sorted(contents) == sorted([*(file.name for file in files), "release.json"])
        for file in files:
            assert hashlib.sha256(contents[file.name]).hexdigest() == file.sha256
        ours = state.release(tag)["id"]
        assert {asset["state"] for of, asset, _ in state.assets.values() if of == ours} == {"uploaded"}
