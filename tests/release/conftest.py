# SPDX-License-Identifier: MIT
"""A package, made once; each test spoils a copy of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chain.conftest import boardwright
from tests.release.goods import NAME, fill_dist


@dataclass(frozen=True)
class Made:
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
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    work = tmp_path_factory.mktemp("package")
    keys = ["minisign", "-G", "-W", "-p", str(work / "key.pub"), "-s", str(work / "key")]
    subprocess.run(keys, check=True, capture_output=True)
    found = Made(work, fill_dist(work), work / "release" / NAME, work / "key.pub", (work / "key").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARDWRIGHT_MINISIGN_KEY", found.secret)
        done = found.call("-o", work / "release", "--compress", "xz,zst,gz,zip", "--supplier", "Lighthouse")
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(found.directory) in done.stdout
    assert found.secret.split()[-1] not in done.stdout + done.stderr
    yield found
    shutil.rmtree(work)


@pytest.fixture
def spoilt(made: Made, tmp_path: Path) -> Path:
    """A copy of the package."""
    return Path(shutil.copytree(made.directory, tmp_path / "spoilt" / NAME))
