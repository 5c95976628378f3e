# SPDX-License-Identifier: MIT
"""Download the newest image of a board and verify it.

The files of channels and release.json are not signed: everyone with write access to the server can change them. So
they only tell where to look. `<name>.manifest.json` is signed and has board, version and the digest of every file; all
downloads are checked against it. A server that hides new releases is detected if a newer one was downloaded before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version
from pydantic import ValidationError

from builder import log
from builder.compression import PREFERRED, Compression
from builder.errors import RecipeError, ReleaseError, TrustError
from builder.fetch.download import download, unknown_board
from builder.fetch.read import read
from builder.fetch.sources import Source, find_version
from builder.net.http import bare
from builder.packaging.model import NEWER, SUFFIX, PackagedFile, PackagedImage, Release, Released
from builder.packaging.requested import find_mismatch, warn_of_age
from builder.recipe.described import load_described
from builder.signing.signature import SUFFIX as SIGNATURE
from builder.signing.signature import PublicKey, check_file_name, verify_signature
from builder.system.checksums import sha256_bytes
from builder.system.files import InputError, read_bytes

TELL = "do not use it, and tell its publisher"


@dataclass(frozen=True)
class FetchRequest:
    """A request for an image."""

    board: str
    channel: str = "stable"
    version: str = ""
    """Version of a release; empty for the release of the channel."""
    compression: Compression | None = None
    key: PublicKey | None = None
    """None: the signature is not checked, so the server is trusted."""


@dataclass(frozen=True)
class FetchedImage:
    """A downloaded image."""

    image: Path
    package: PackagedImage
    tag: str
    sha256: str
    """Digest of the image file as downloaded, compressed."""
    key: str
    """Name of the key that signed it; empty if no signature was checked."""


def fetch(source: Source, request: FetchRequest, output: Path) -> FetchedImage:
    """Download an image, its description and its block map into `output`.

    The image gets its name last, when all checks have passed. Raises RecipeError (unknown board, channel, version or
    compression), DownloadError, ReleaseError, TrustError, BusyError and SpaceError.
    """
    with log.step(f"find the release at {source.name}"):
        release = find_version(source, request.version) if request.version else source.newest(request.channel)
        if request.board not in release.boards:
            raise unknown_board(request.board, release)
        released = release.boards[request.board]
        check = _Check(source, release, request, released)
        package = check.package()
    log.note(f"{package.title}: {package.version}, released {release.date:%Y-%m-%d}")
    if not request.version:
        check_not_older(package, output)
    image = choose_image(package, request.compression)
    for file in (*(file for file in package.files if file.role == "bmap"), *check.signed()):
        download(check.address(file.name), file, output)
    path = download(check.address(image.name), image, output)
    return FetchedImage(path, package, release.tag, image.sha256, request.key.name if request.key else "")


@dataclass(frozen=True)
class _Check:
    """Checks of the signed description of a packaged image against the server's data."""

    source: Source
    release: Release
    request: FetchRequest
    released: Released

    def address(self, name: str) -> str:
        return self.source.address(self.release.tag, self.request.board, name)

    def package(self) -> PackagedImage:
        """Return the description after these checks: its signature (if there is a key), and the server's data."""
        file = self._file(f"{self.released.image.name}{SUFFIX}")
        content = self._read(file)
        if self.request.key:
            self._check_signature(self.request.key, file.name, content)
        else:
            log.warn("without a key the signature is not checked: only the server vouches for this image; use --key")
        package = load_described(PackagedImage, content, file.name, error=ReleaseError, hint=NEWER)
        self._check_it_is_the_same(package)
        warn_of_age(package)
        return package

    def signed(self) -> list[PackagedFile]:
        """Return description and sums with their signatures, which are checked if there is a key."""
        sums = [file for file in self.released.image.files if file.role == "sums"]
        for file in sums:
            if self.request.key:
                self._check_signature(self.request.key, file.name, self._read(file))
        names = {f"{self.released.image.name}{SUFFIX}", *(file.name for file in sums)}
        return [file for file in self.released.files if file.name.removesuffix(SIGNATURE) in names]

    def _check_signature(self, key: PublicKey, name: str, content: bytes) -> None:
        signature = self._read(self._file(name + SIGNATURE))
        comment = verify_signature(content, signature.decode("utf-8", "replace"), key)
        check_file_name(comment, name)
        log.note(f"{name} is signed by the key {key.name}")

    def _check_it_is_the_same(self, package: PackagedImage) -> None:
        if wrong := find_mismatch(package, self.request.board, self.release):
            raise TrustError(f"{self.source.name}, {self.release.tag}: {wrong}", hint=TELL)

    def _file(self, name: str) -> PackagedFile:
        for file in self.released.files:
            if file.name == name:
                return file
        release = f"{self.source.name}, {self.release.tag}"
        if name.endswith(SIGNATURE):
            raise TrustError(f"{release}: {self.request.board} is not signed: it has no {name}", hint=TELL)
        raise ReleaseError(f"{release}: {self.request.board} has no description {name}", hint="release it again")

    def _read(self, file: PackagedFile) -> bytes:
        """Return one of the small files."""
        address = self.address(file.name)
        content = read(address)
        sha256 = sha256_bytes(content)
        if sha256 != file.sha256:
            raise TrustError(f"{bare(address)} has sha256 {sha256}, wanted is {file.sha256}", hint=TELL)
        return content


def choose_image(package: PackagedImage, compression: Compression | None) -> PackagedFile:
    """Return the image to fetch: of this compression, or the one that is usually smallest.

    Raises RecipeError if the packaged image has no image of this compression, ReleaseError if it has no image.
    """
    images = {candidate: file for candidate in PREFERRED if (file := _image(package, candidate))}
    if not images:
        raise ReleaseError(f"{package.name} has no image", hint="package it again")
    if compression is None:
        return next(iter(images.values()))
    if compression not in images:
        raise RecipeError(f"--compress: {package.name} has no {compression}", hint=f"use one of: {', '.join(images)}")
    return images[compression]


def _image(package: PackagedImage, compression: Compression) -> PackagedFile | None:
    name = f"{package.name}{compression.image_suffix}"
    return next((file for file in package.files if file.role == "image" and file.name == name), None)


def check_not_older(package: PackagedImage, output: Path) -> None:
    """Raise TrustError if `output` has a newer image of this board: a channel never moves back."""
    for local in _packages_in(output):
        if local.board == package.board and is_older(package, local):
            raise TrustError(
                f"the channel names {package.version} of {package.board}; {output} has {local.version}, which is newer",
                hint=f"the server may hide the newer one; to get this one, use --version {package.version}",
            )


def is_older(package: PackagedImage, other: PackagedImage) -> bool:
    """Compare versions (v1.0-rc1 is older than v1.0), or the build times if a version cannot be parsed."""
    try:
        return Version(package.version) < Version(other.version)
    except InvalidVersion:
        return package.epoch < other.epoch


def _packages_in(directory: Path) -> Sequence[PackagedImage]:
    packages = []
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        try:
            packages.append(PackagedImage.model_validate_json(read_bytes(path, within=directory)))
        except (ValidationError, InputError):
            log.warn(f"{path} is ignored: it is not the description of an image")
    return packages
