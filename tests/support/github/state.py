# SPDX-License-Identifier: MIT
"""Releases and assets of the double, as https://docs.github.com/rest/releases describes them."""

from __future__ import annotations

import copy
import hashlib
import re
import threading
from dataclasses import dataclass, field
from typing import Any

TOKEN = "ghp_boardwrightTOKEN0123456789"
REPOSITORY = "octo/images"
COMMIT = "a" * 40
REPO_PATH = f"/repos/{REPOSITORY}"
Json = dict[str, Any]


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, **body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


@dataclass
class State:
    """What is at GitHub."""

    examples: dict[str, Any]
    base: str = ""
    releases: dict[int, Json] = field(default_factory=dict)
    assets: dict[int, tuple[int, Json, bytes]] = field(default_factory=dict)
    """Id of the release, the asset, its content."""
    tags: dict[str, str] = field(default_factory=dict)
    latest: str = ""
    page: int = 100
    digests: bool = True
    """Whether the server knows the digests of assets."""
    next_id: int = 1
    lock: Any = field(default_factory=threading.RLock)

    def number(self) -> int:
        self.next_id += 1
        return self.next_id

    def release(self, tag: str) -> Json:
        (found,) = [each for each in self.releases.values() if each["tag_name"] == tag]
        return found

    def contents(self, tag: str) -> dict[str, bytes]:
        wanted = self.release(tag)["id"]
        return {asset["name"]: content for of, asset, content in self.assets.values() if of == wanted}

    def add_release(self, **values: Any) -> Json:
        made: Json = copy.deepcopy(self.examples["release"])
        identity = self.number()
        url = f"{self.base}{REPO_PATH}/releases/{identity}"
        made.update(id=identity, url=url, assets_url=f"{url}/assets", upload_url=f"{url}/assets{{?name,label}}")
        made.update(assets=[], body="", draft=False, prerelease=False, immutable=False, name=None)
        made.update(values)
        made["html_url"] = f"https://github.com/{REPOSITORY}/releases/tag/{made['tag_name']}"
        self.releases[identity] = made
        return made

    def add_asset(self, release_id: int, name: str, content: bytes, *, state: str = "uploaded") -> Json:
        made: Json = copy.deepcopy(self.examples["release-asset"])
        identity = self.number()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}" if self.digests and state == "uploaded" else None
        made.update(id=identity, name=re.sub(r"[^A-Za-z0-9._+-]", ".", name), state=state, size=len(content))
        made.update(digest=digest, label="", content_type="application/octet-stream")
        made["url"] = f"{self.base}{REPO_PATH}/releases/assets/{identity}"
        self.assets[identity] = (release_id, made, content)
        return made
