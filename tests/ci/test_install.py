# SPDX-License-Identifier: MIT
"""`ci install` in real repositories: what it writes, what it leaves alone, what it refuses."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from builder.ci.install import render
from builder.ci.provider import CiProvider
from builder.ci.repository import load_repository
from builder.recipe.load import list_boards
from tests.conftest import ROOT
from tests.support.ci_repository import call, git
from tests.test_cli import check_error

every_provider = pytest.mark.parametrize("provider", CiProvider)


def test_the_command_line_lists_every_provider() -> None:
    assert re.findall(r"--provider \W+([\w|]+\w)", call("ci", "install", "--help", COLUMNS="200").stdout) == [
        "|".join(CiProvider)
    ]


def test_this_repository_has_its_own_current_file() -> None:
    """After a change of builder/ci/github.yml: boardwright ci install --provider github --force."""
    wanted = render(CiProvider.GITHUB, load_repository(ROOT, None), list_boards(ROOT / "boards"))
    assert wanted.path.read_text(encoding="utf-8") == wanted.text


@every_provider
def test_it_is_written_where_the_system_looks_and_then_left_alone(fork: Path, provider: CiProvider) -> None:
    path = fork / provider.row.path
    done = call("ci", "install", "--provider", provider, cwd=fork)
    assert (done.returncode, done.stdout) == (0, f"{path}\n"), done.stderr
    before = path.stat()
    assert before.st_mode & 0o777 == 0o644
    again = call("ci", "install", "--provider", provider, cwd=fork)
    assert (again.returncode, again.stdout) == (0, "")
    assert "is current" in again.stderr
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert git(fork, "status", "--porcelain", "--untracked-files=all") == f"?? {provider.row.path}"


@every_provider
def test_a_changed_file_is_not_written_over_without_force(fork: Path, provider: CiProvider) -> None:
    words, path = ("ci", "install", "--provider", provider), fork / provider.row.path
    call(*words, cwd=fork)
    made = path.read_text()
    path.write_text(made.replace("make .venv/ready", "make .venv/ready mine"))
    changed = path.read_text()
    check_error(
        call(*words, cwd=fork),
        3,
        "-    - make .venv/ready mine" if provider is CiProvider.GITLAB else "make .venv/ready mine",
        "--force",
    )
    assert path.read_text() == changed
    assert call(*words, "--force", cwd=fork).returncode == 0
    assert path.read_text() == made


@every_provider
def test_check_writes_nothing_and_says_whether_it_is_current(fork: Path, provider: CiProvider) -> None:
    words, path = ("ci", "install", "--provider", provider), fork / provider.row.path
    check_error(
        call(*words, "--check", cwd=fork), 3, "differs from what this program writes", "+# Made by: boardwright"
    )
    assert not path.exists()
    call(*words, cwd=fork)
    assert call(*words, "--check", cwd=fork).returncode == 0
    path.write_text(path.read_text() + "# mine\n")
    check_error(call(*words, "--check", "--force", cwd=fork), 3, "-# mine")
    assert path.read_text().endswith("# mine\n")


def test_the_pins_of_actions_may_be_newer(fork: Path) -> None:
    words, path = ("ci", "install", "--provider", "github"), fork / CiProvider.GITHUB.row.path
    call(*words, cwd=fork)
    newer = re.sub(r"(actions/checkout)@[0-9a-f]{40} # v\S+", rf"\1@{'a' * 40} # v9.0.0", path.read_text())
    path.write_text(newer)
    assert call(*words, "--check", cwd=fork).returncode == 0
    assert path.read_text() == newer
    path.write_text(newer.replace(f"@{'a' * 40} # v9.0.0", "@main"))
    check_error(call(*words, "--check", cwd=fork), 3, "actions/checkout@main")


@pytest.mark.parametrize("name", ["gitlab", "travis"])
def test_a_new_board_makes_it_out_of_date_where_it_names_them(fork: Path, name: str) -> None:
    words = ("ci", "install", "--provider", name)
    call(*words, cwd=fork)
    shutil.copytree(fork / "boards/rpi5", fork / "boards/on")
    check_error(call(*words, "--check", cwd=fork), 3, '"on"')
    assert call(*words, "--force", cwd=fork).returncode == 0


@every_provider
def test_the_file_says_how_it_was_made(boards_only: Path, provider: CiProvider) -> None:
    (boards_only / "boards").rename(boards_only / "hardware")
    call("ci", "install", "--provider", provider, "--branch", "trunk", "--boards", "hardware", cwd=boards_only)
    text = (boards_only / provider.row.path).read_text()
    made_by = re.search(r"Made by: boardwright (.*)", text)
    assert made_by
    assert made_by.group(1) == f"ci install --provider {provider} --directory .. --branch trunk"
    assert f".venv/bin/boardwright {made_by.group(1)} --check" in text
    words = made_by.group(1).split()
    again = call(*words, "--check", cwd=boards_only / "boardwright", BOARDWRIGHT_BOARDS="../hardware")
    assert again.returncode == 0, again.stderr
    assert "../hardware" in text
    assert str(boards_only) not in text


def test_a_place_that_is_no_repository_is_refused(tmp_path: Path, fork: Path) -> None:
    words = ("ci", "install", "--provider", "github", "--directory")
    check_error(call(*words, tmp_path), 3, "expected the top of a git repository")
    check_error(call(*words, fork / "boards"), 3, "expected the top of a git repository")
    (fork / "builder/setup.sh").unlink()
    check_error(call(*words, fork), 3, "found no Boardwright", "git submodule add")
    assert call(*words, tmp_path / "nosuch").returncode == 2


def test_boards_must_be_inside_and_plainly_named(fork: Path, tmp_path: Path) -> None:
    words = ("ci", "install", "--provider", "github", "--directory", str(fork), "--boards")
    check_error(call(*words, ROOT / "boards"), 3, "outside the repository")
    (fork / "boards").rename(fork / 'my "boards"')
    check_error(call(*words, fork / 'my "boards"'), 3, "expected letters")
    check_error(call(*words, fork / "nosuch"), 3, "nosuch: not found")


@pytest.mark.parametrize("branch", ["", "a b", '"', "-x", "${{ x }}", "a\n"])
def test_a_branch_is_a_plain_name(fork: Path, branch: str) -> None:
    check_error(call("ci", "install", "--provider", "github", "--branch", branch, cwd=fork), 3, "--branch: found")


def test_a_link_out_of_the_repository_is_not_followed(fork: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (fork / ".github").symlink_to(tmp_path / "elsewhere")
    check_error(call("ci", "install", "--provider", "github", cwd=fork), 3, "leads out of the repository")
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("words", [(), ("--check",), ("--force",)])
def test_what_a_link_leads_to_is_neither_shown_nor_changed(fork: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """A repository of a stranger may have one to a file with credentials."""
    secret = tmp_path / "credentials"
    secret.write_text("https://joe:hunter2@example.org\n")
    for name in (".travis.yml", "..travis.yml.partial"):
        (fork / name).symlink_to(secret)
    done = call("ci", "install", "--provider", "travis", *words, cwd=fork)
    check_error(done, 3, "found a link that leads out of")
    assert "hunter2" not in done.stderr + done.stdout
    (fork / ".travis.yml").unlink()
    call("ci", "install", "--provider", "travis", cwd=fork)
    assert secret.read_text() == "https://joe:hunter2@example.org\n"


def test_what_is_in_the_way_is_said(fork: Path) -> None:
    (fork / ".travis.yml").mkdir()
    check_error(call("ci", "install", "--provider", "travis", cwd=fork), 3, "cannot be read")
    (fork / ".gitlab-ci.yml").write_bytes(b"\xff")
    check_error(call("ci", "install", "--provider", "gitlab", cwd=fork), 3, "cannot be read")
    (fork / ".github").write_text("")
    check_error(call("ci", "install", "--provider", "github", cwd=fork), 3, "cannot be")
    assert sorted(path.name for path in fork.iterdir()) == sorted(
        [".git", ".github", ".gitlab-ci.yml", ".travis.yml", "Makefile", "boards", "builder", "docs", "specs"]
    ), "nothing half-written is left"
