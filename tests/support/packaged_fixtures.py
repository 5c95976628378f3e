# SPDX-License-Identifier: MIT
"""A package, made once, of which tests spoil copies; a key, published releases, and a server of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from builder.net import http
from tests.chain.conftest import boardwright
from tests.support.dist import NAME, fill_dist
from tests.support.keys import MinisignKey
from tests.support.published import Published, Server, serving


@dataclass(frozen=True)
class MadePackage:
    """What the command made of the image of a build."""

    work: Path
    dist: Path
    directory: Path
    public: Path
    secret: str

    def call(self, *options: str | Path) -> subprocess.CompletedProcess[str]:
        """Package the image again, with other options."""
        return boardwright("package", "rpi", "--dist", self.dist, "--state", self.work / "state", *options)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadePackage]:
    """A package of an image with two filesystems."""
    with making(tmp_path_factory.mktemp("package")) as found:
        yield found


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadePackage]:
    """A package of an image of 6 MiB: each time that it is checked, all of that is unpacked four times."""
    with making(tmp_path_factory.mktemp("small"), fat_mib=0, root_mib=4, noise_mib=1) as found:
        yield found


@contextmanager
def making(work: Path, **sizes: int) -> Iterator[MadePackage]:
    key = MinisignKey(work, "key")
    dist = fill_dist(work, **sizes)
    found = MadePackage(work, dist, work / "release" / NAME, key.public, key.secret.read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARDWRIGHT_MINISIGN_KEY", found.secret)
        done = found.call("-o", work / "release", "--compress", "xz,zst,gz,zip", "--supplier", "Lighthouse")
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(found.directory) in done.stdout
    assert found.secret.split()[-1] not in done.stdout + done.stderr
    yield found
    shutil.rmtree(work)


@pytest.fixture
def spoilt(small: MadePackage, tmp_path: Path) -> Path:
    """A copy of the small package."""
    return Path(shutil.copytree(small.directory, tmp_path / "spoilt" / NAME))


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> MinisignKey:
    return MinisignKey(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture(scope="session")
def other_signer(tmp_path_factory: pytest.TempPathFactory) -> MinisignKey:
    return MinisignKey(tmp_path_factory.mktemp("keys"), "other")


@pytest.fixture
def published(tmp_path: Path, signer: MinisignKey) -> Published:
    """v1.0 of two boards in the channel stable."""
    made = Published(tmp_path / "srv", signer)
    made.name("stable", made.release("v1.0"))
    return made


@pytest.fixture
def server(published: Published, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(http, "RETRIES", replace(http.RETRIES, first_s=0.01))
    with serving(published.tree) as running:
        yield running
