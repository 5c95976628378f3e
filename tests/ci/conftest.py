# SPDX-License-Identifier: MIT
"""Repositories to install into, and the programs from npm that read and run what is installed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from builder.system.locks import locked
from tests.support.ci_repository import make_boards_only, make_fork

HERE = Path(__file__).parent


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    return make_fork(tmp_path / "fork")


@pytest.fixture
def boards_only(tmp_path: Path) -> Path:
    return make_boards_only(tmp_path / "own")


@pytest.fixture(scope="session")
def node_programs() -> Path:
    """A directory of the programs that package-lock.json pins; kept in the virtual environment until it changes."""
    wanted = [HERE / "package.json", HERE / "package-lock.json"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()[:16]
    kept = Path(sys.prefix) / f"npm-{digest}"
    with locked(kept.with_name(f"{kept.name}.lock")):  # Others may want them at this moment.
        if not kept.exists():
            _install(wanted, kept)
    return kept / "node_modules/.bin"


def _install(wanted: Sequence[Path], kept: Path) -> None:
    making = kept.with_name(f"{kept.name}.new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    for path in wanted:
        shutil.copy(path, making)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(words, cwd=making, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    making.rename(kept)
