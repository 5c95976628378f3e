# SPDX-License-Identifier: MIT
"""Packaged images for tests: small, complete, and of any content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from random import Random

from builder.packaging.check import check_files
from builder.packaging.model import SUFFIX, PackagedFile, PackagedImage, PackagedPartition, Role, Specs, render_package
from builder.packaging.tag import load_tag
from builder.release.collect import CheckedImage, Requirements, collect
from builder.release.target import ReleaseContent

ROWS = {"docker.io": "26.1.5-1", "linux-image-6.12.48+deb13-arm64": "6.12.48-1", "bash": "5.2.37-2", "gone": "1.0"}
COLUMNS = "name\tversion\tarchitecture\tinstalled size in KiB\n"
DIGEST = "ab" * 32


def make_package(
    root: Path,
    board: str,
    version: str = "1.0",
    *,
    size_bytes: int = 3000,
    seed: str = "",
    rows: dict[str, str] | None = None,
    signed: bool = True,
    partitions: Sequence[PackagedPartition] = (),
) -> PackagedImage:
    """Write root/<name>/ and return its description; other content for another seed."""
    name = f"boardwright-{board}-{version}"
    directory = root / name
    directory.mkdir(parents=True)
    listing = COLUMNS + "".join(
        f"{key}\t{value}\tarm64\t1\n" for key, value in (ROWS if rows is None else rows).items()
    )
    contents: list[tuple[str, Role, bytes]] = [
        (f"{name}.img.xz", "image", Random(f"{name}{seed}").randbytes(size_bytes)),
        (f"{name}.packages", "packages", listing.encode()),
        (f"{name}.SHA256SUMS", "sums", b"sums of " + name.encode()),
    ]
    files = []
    for filename, role, content in contents:
        (directory / filename).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append(PackagedFile(name=filename, role=role, size_bytes=len(content), sha256=digest))
    package = PackagedImage(
        name=name,
        board=board,
        title=f"The board {board}",
        architecture="arm64",
        features=[],
        version=version,
        epoch=1790000000,
        image_size_bytes=2**31,
        image_sha256=DIGEST,
        specs=Specs(passed=600, failed=0, skipped=1, levels=["offline"], image_sha256=DIGEST),
        partitions=list(partitions),
        files=files,
    )
    write_description(root, package)
    if signed:
        (directory / f"{name}{SUFFIX}.minisig").write_text("untrusted comment: a signature\n")
    return package


def write_description(root: Path, package: PackagedImage) -> None:
    """Write what a packaged image says of itself, again."""
    (root / package.name / f"{package.name}{SUFFIX}").write_text(render_package(package))


def collect_files(root: Path, demand: Requirements) -> list[CheckedImage]:
    """Collect packaged images whose content is not looked into: it may be of any bytes."""
    return collect(root, demand, check=check_files)


def ship(root: Path, tag: str = "v1.0", boards: Sequence[str] = (), *, signed: bool = False) -> ReleaseContent:
    """Look through packages and return what is to be released."""
    load = load_tag(tag)
    return ReleaseContent(load, collect_files(root, Requirements(load, boards, only=bool(boards), signed=signed)))
