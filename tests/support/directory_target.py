# SPDX-License-Identifier: MIT
"""A directory as a target of releases, and packages made as they are needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from builder.packaging.model import Channel, Release, load_channel
from builder.packaging.tag import load_tag
from builder.release import directory as directories
from builder.release.channels import choose_channels
from builder.release.directory import Directory
from builder.release.file_tree import FileTreePublisher
from builder.release.publish import PublishRequest, TargetResult, publish
from tests.support.packaged import make_package, ship

NOW = datetime(2026, 11, 24, 20, 0, 0, 123, tzinfo=UTC)


@dataclass
class DirectoryTarget:
    """A directory that is released to, and packages made as they are needed."""

    root: Path

    @property
    def public(self) -> Path:
        return self.root / "public"

    def order(
        self, tag: str = "v1.0", *, seed: str = "", channels: tuple[str, ...] = (), back: bool = False
    ) -> PublishRequest:
        packages = self.root / f"packages-{tag}{seed}"
        if not packages.exists():
            load = load_tag(tag)
            for board in ("rpi", "qemu-arm64"):
                make_package(packages, board, load.version, seed=seed)
        choice = choose_channels(load_tag(tag), channels, back=back)
        return PublishRequest(ship(packages, tag), choice, "https://x.example", self.root, lambda: NOW)

    def tree(self) -> FileTreePublisher:
        return FileTreePublisher(Directory(self.public), "https://x.example")

    def release(self, tag: str = "v1.0", *, seed: str = "") -> tuple[Release, list[TargetResult]]:
        return publish([self.tree()], self.order(tag, seed=seed))

    def channel(self, name: str) -> Channel:
        return load_channel((self.public / f"channels/{name}.json").read_bytes(), name)

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.public)): path.read_bytes()
            for path in sorted(self.public.rglob("*"))
            if path.is_file() and path.name != directories.LOCK
        }


class Meddled(Directory):
    """A directory in which another run writes between reading and writing."""

    def __init__(self, path: Path, meddle: Callable[[str], None]) -> None:
        super().__init__(path)
        self._meddle = meddle

    def write(self, key: str, content: bytes, *, mark: str | None, lasting: bool) -> None:
        self._meddle(key)
        super().write(key, content, mark=mark, lasting=lasting)


def list_all(releases: Sequence[Release], channels: Sequence[Channel]) -> dict[str, bytes]:
    tags = sorted(release.tag for release in releases)
    named = {channel.channel: channel.release.tag for channel in channels}
    return {"list.json": json.dumps([tags, named]).encode(), "index.html": b"the same as ever"}
