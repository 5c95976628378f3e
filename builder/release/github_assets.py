# SPDX-License-Identifier: MIT
"""Upload and check the assets of one GitHub release.

A failed upload can leave an empty or incomplete asset (its state is not "uploaded"), which blocks its name. So it is
deleted before the next attempt. GitHub's API gives the SHA-256 of every asset. On servers without it (GitHub Enterprise
before 3.17) the asset is downloaded to compute it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from builder.errors import ReleaseError, TrustError
from builder.net.retry import TemporaryError, retry
from builder.packaging.model import PackagedFile
from builder.release.github_api import AlreadyExistsError, Api
from builder.release.github_model import Asset, FoundRelease
from builder.release.upload_body import open_body
from builder.system.checksums import sha256_bytes

TEXT_BYTES = 16 * 1024 * 1024
"""Size limit of lists of packages and release.json."""


class Assets:
    """The files of a release by GitHub's latest answer; none without a release."""

    def __init__(self, api: Api, repository: str, release: FoundRelease | None) -> None:
        self._api = api
        self._path = f"/repos/{repository}/releases"
        self._name = f"github:{repository}"
        self._release = release
        self._digests: dict[int, str] = {}
        """Digests of downloaded assets, by id."""
        self.all: dict[str, Asset] = {}
        self.refresh()

    def refresh(self) -> None:
        """Update the list of assets."""
        if self._release:
            assets = self._api.pages(f"{self._path}/{self._release.id}/assets", Asset)
            self.all = {asset.name: asset for asset in assets}

    def has(self, file: PackagedFile) -> bool:
        """Return True if the release has the file, complete and intact."""
        asset = self.all.get(file.name)
        return asset is not None and self._is_whole(asset, file)

    def send(self, file: PackagedFile, source: Path | bytes) -> None:
        """Upload a file unless the release has it, and check that the upload is intact."""
        retry(self._api.policy, f"{self._name} {file.name}", partial(self._send, file, source))

    def delete(self, name: str) -> None:
        """Remove an asset."""
        self._api.delete(f"{self._path}/assets/{self.all.pop(name).id}")

    def read(self, name: str) -> bytes:
        """Return the content of a small asset; raise TrustError if it does not have the digest in GitHub's API."""
        asset = self.all[name]
        content = self._api.read(f"{self._path}/assets/{asset.id}", TEXT_BYTES)
        if asset.digest and asset.digest != f"sha256:{(sha256 := sha256_bytes(content))}":
            raise TrustError(f"{self._name} {name}: found sha256 {sha256}; expected {asset.digest}", hint="try again")
        return content

    def check(self, files: Iterable[PackagedFile]) -> None:
        """Check all files again at the end: a parallel run for this tag may have changed some."""
        self.refresh()
        wrong = [file.name for file in files if not self.has(file)]
        if wrong:
            hint = "check that no other run releases the same tag, then run the same command again"
            raise ReleaseError(f"{self._name}: {wrong[0]} is missing or changed after its upload", hint=hint)

    def _send(self, file: PackagedFile, source: Path | bytes) -> None:
        if self.has(file):
            return
        if file.name in self.all:
            self.delete(file.name)
        assert self._release
        url = re.sub(r"\{.*\}$", "", self._release.upload_url)
        try:
            with open_body(source, file.name) as body:
                asset = self._api.upload(url, file.name, body)
        except TemporaryError:
            self.refresh()  # The server may have all or a part of the file.
            raise
        except AlreadyExistsError as error:
            self.refresh()
            raise TemporaryError("there is a file of that name already") from error
        self.all[asset.name] = asset
        if asset.name != file.name:
            self.delete(asset.name)
            hint = "use only letters, digits, dots, dashes and underscores in names of files"
            raise ReleaseError(f"{self._name} renamed {file.name} to {asset.name}", hint=hint)
        if not self._is_whole(asset, file):
            raise TemporaryError("the upload was damaged", kind=TrustError)

    def _is_whole(self, asset: Asset, file: PackagedFile) -> bool:
        if asset.state != "uploaded" or asset.size != file.size_bytes:
            return False
        algorithm, _, digest = (asset.digest or "").lower().partition(":")
        return (digest if algorithm == "sha256" else self._read_back(asset)) == file.sha256

    def _read_back(self, asset: Asset) -> str:
        if asset.id not in self._digests:
            self._digests[asset.id] = self._api.digest(f"{self._path}/assets/{asset.id}")
        return self._digests[asset.id]
