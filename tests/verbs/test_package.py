# SPDX-License-Identifier: MIT
"""Which commit a package names, and that it names none where that would be a guess."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from builder.artefact.build_record import Record, make_record
from builder.packaging.provenance import SourceCommit
from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.verbs.package import _find_commit
from tests.conftest import ROOT

pytestmark = pytest.mark.machine  # make_record asks dpkg for the versions of tools.


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    boards = Path(shutil.copytree(ROOT / "boards", tmp_path / "repository/boards"))
    git(boards, "init", "-q")
    git(boards, "remote", "add", "origin", "https://user:secret@example.org/boards.git")
    commit(boards)
    return boards


def git(boards: Path, *words: str) -> str:
    command = ["git", "-C", boards, "-c", "user.name=x", "-c", "user.email=x@example.org", *words]
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout.strip()


def commit(boards: Path) -> None:
    git(boards, "add", ".")
    git(boards, "commit", "-q", "-m", "boards")


def record_of(boards: Path, user_data: Path | None = None) -> Record:
    plan = make_plan(load_board(boards, "rpi"), version="1.0", epoch=1_790_000_000, user_data=user_data)
    return make_record(plan, "ab" * 32, {})


def find(boards: Path, record: Record) -> SourceCommit | None:
    return _find_commit(boards, load_board(boards, "rpi"), record)


def test_the_commit_of_an_unchanged_recipe_is_named_without_credentials(boards: Path) -> None:
    assert find(boards, record_of(boards)) == SourceCommit(
        "https://example.org/boards.git", git(boards, "rev-parse", "HEAD")
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pa@ss@example.org/boards.git",
        "https://user:pa/s#s@example.org/boards.git",
        "https://example.org/boards.git?private_token=secret#x",
    ],
)
def test_credentials_of_any_form_are_left_out(boards: Path, url: str) -> None:
    git(boards, "remote", "set-url", "origin", url)
    found = find(boards, record_of(boards))
    assert found
    assert found.url == "https://example.org/boards.git"


def test_user_data_of_ones_own_is_no_other_recipe(boards: Path, tmp_path: Path) -> None:
    user_data = tmp_path / "user-data"
    user_data.write_text("#cloud-config\nhostname: x\n")
    assert find(boards, record_of(boards, user_data)) is not None


def test_a_recipe_that_was_changed_since_names_no_commit(boards: Path) -> None:
    record = record_of(boards)
    path = boards / "rpi/board.yaml"
    path.write_text(path.read_text() + "hostname: other\n")
    assert find(boards, record) is None
    commit(boards)
    assert find(boards, record) is None


def test_a_recipe_that_was_never_committed_names_no_commit(boards: Path) -> None:
    path = boards / "rpi/board.yaml"
    path.write_text(path.read_text() + "hostname: other\n")
    assert find(boards, record_of(boards)) is None


def test_boards_outside_git_name_no_commit(boards: Path) -> None:
    shutil.rmtree(boards / ".git")
    assert find(boards, record_of(boards)) is None
