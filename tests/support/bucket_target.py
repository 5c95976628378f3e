# SPDX-License-Identifier: MIT
"""A bucket as a target of releases, and packages made as they are needed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder.choices import CacheMode
from builder.net.location import parse_location
from builder.packaging.model import Channel, load_channel, load_release
from builder.packaging.tag import load_tag
from builder.release.bucket import Bucket
from builder.release.channels import choose_channels
from builder.release.file_tree import FileTreePublisher
from builder.release.publish import PublishRequest, publish
from tests.support.bucket import BUCKET
from tests.support.bucket import Bucket as Server
from tests.support.packaged import make_package, ship

MIB = 1024 * 1024
PART = 5 * MIB
IMAGE = "rel/v1.0/rpi/boardwright-rpi-1.0.img.xz"


@dataclass
class BucketTarget:
    """A bucket that is released to, and packages made as they are needed."""

    server: Server
    root: Path

    @property
    def text(self) -> str:
        return f"s3://{BUCKET}/rel?endpoint={self.server.url}"

    def packages(self, tag: str, *, size_bytes: int = 3000, seed: str = "") -> Path:
        path = self.root / f"packages-{tag}{seed}"
        if not path.exists():
            make_package(path, "rpi", load_tag(tag).version, size_bytes=size_bytes, seed=seed)
        return path

    def order(self, tag: str = "v1.0", *, size_bytes: int = 3000, seed: str = "") -> PublishRequest:
        packages = self.packages(tag, size_bytes=size_bytes, seed=seed)
        choice = choose_channels(load_tag(tag), (), back=False)
        return PublishRequest(ship(packages, tag), choice, "", self.root, lambda: datetime.now(UTC))

    def tree(self) -> FileTreePublisher:
        return FileTreePublisher(Bucket(parse_location(self.text, CacheMode.RW, "--to"), part_bytes=PART))

    def release(self, tag: str = "v1.0", *, size_bytes: int = 3000, seed: str = "") -> None:
        publish([self.tree()], self.order(tag, size_bytes=size_bytes, seed=seed))

    def channel(self, name: str) -> Channel:
        return load_channel(self.server.read(f"rel/channels/{name}.json"), name)

    def check(self, *, size_bytes: int = 3000) -> None:
        """The release is complete, there is nothing else, and every byte is right."""
        release = load_release(self.server.read("rel/v1.0/release.json"), "")
        files = release.boards["rpi"].files
        names = [f"rel/v1.0/rpi/{file.name}" for file in files]
        below = [key for key in self.server.list_keys() if key.count("/") > 1]  # The catalogue lies beside.
        assert below == sorted(
            [*names, "rel/v1.0/release.json", "rel/channels/stable.json", "rel/channels/latest.json"]
        )
        for file, name in zip(files, names, strict=True):
            content = self.server.read(name)
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size_bytes, file.sha256)
        assert len(self.server.read(IMAGE)) == size_bytes
        assert unfinished(self.server) == []
        assert [entry.tag for entry in self.channel("stable").history] == ["v1.0"]


def unfinished(server: Server) -> list[Any]:
    return list(server.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))
