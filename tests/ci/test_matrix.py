# SPDX-License-Identifier: MIT
"""Which boards a change is about: the rule by itself, and with commits of real repositories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.ci.matrix import ChangeKind, Layout, choose_boards, load_kinds, pick_examples
from builder.recipe.status import list_made
from tests.conftest import ROOT
from tests.support.ci_repository import call, commit, git
from tests.test_cli import check_error

KINDS = {
    "one": ChangeKind("amd64", "efi", ("_base", "one")),
    "pi": ChangeKind("arm64", "raspi", ("_base", "pi")),
    "pi-large": ChangeKind("arm64", "raspi", ("_base", "pi", "pi-large")),
    "two": ChangeKind("arm64", "efi", ("_base", "two")),
}
ALL, EXAMPLES = [*KINDS], ["one", "pi", "two"]
OWN = Layout("boards", "boardwright")


@pytest.mark.parametrize(
    ("changed", "boards"),
    [
        ("boards/one/board.yaml", ["one"]),
        ("boards/one/files/etc/motd", ["one"]),
        ("boards/pi/board.yaml", ["pi", "pi-large"]),
        ("boards/pi-large/README.md", ["pi-large"]),
        ("boards/_base/board.yaml", ALL),
        ("boards/gone/board.yaml", []),
        ("boards/schema.json", []),
        ("boards/one", []),
        ("builder/pipeline.py", EXAMPLES),
        ("specs/boot_spec.py", EXAMPLES),
        ("Dockerfile.builder", EXAMPLES),
        ("docs/building.md", []),
        ("tests/test_cli.py", []),
        ("README.md", []),
        ("builder.md", []),
    ],
)
def test_what_a_path_is_about(changed: str, boards: list[str]) -> None:
    assert choose_boards(KINDS, [changed], Layout()) == dict.fromkeys(boards, changed)


@pytest.mark.parametrize(
    ("changed", "layout", "boards"),
    [
        ("boardwright", OWN, EXAMPLES),
        ("boardwright/builder/run.py", OWN, EXAMPLES),
        ("boardwright/docs/ci.md", OWN, []),
        ("boardwright/boards/one/board.yaml", OWN, []),
        ("builder/system/process.py", OWN, []),
        ("boards/two/board.yaml", OWN, ["two"]),
        ("two/board.yaml", Layout("", "boardwright"), ["two"]),
        ("images/boards/two/board.yaml", Layout("images/boards", ""), ["two"]),
        ("boards/two/board.yaml", Layout("images/boards", ""), []),
    ],
)
def test_where_things_are_does_not_matter(changed: str, layout: Layout, boards: list[str]) -> None:
    assert [*choose_boards(KINDS, [changed], layout)] == boards


def test_each_board_comes_once_with_its_first_reason() -> None:
    changed = ["docs/a.md", "boards/pi/board.yaml", "builder/system/process.py", "boards/_base/board.yaml"]
    assert choose_boards(KINDS, changed, Layout()) == {
        "one": "builder/system/process.py",
        "pi": "boards/pi/board.yaml",
        "pi-large": "boards/pi/board.yaml",
        "two": "builder/system/process.py",
    }


def test_examples_are_one_of_each_architecture_and_way_to_boot() -> None:
    kinds = load_kinds(ROOT / "boards")
    examples = [kinds[name] for name in pick_examples(kinds)]
    ways = [(kind.architecture, kind.boot) for kind in examples]
    assert len(set(ways)) == len(ways) <= len(kinds)
    assert set(ways) == {(kind.architecture, kind.boot) for kind in kinds.values()}


def names_of(place: Path, *words: str) -> list[str]:
    done = call("ci", "matrix", *words, cwd=place)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_without_a_base_it_is_all_boards(fork: Path) -> None:
    assert names_of(fork) == list_made(fork / "boards")


def test_a_branch_is_compared_with_where_it_started(fork: Path) -> None:
    git(fork, "switch", "--quiet", "--create", "change")
    commit(fork, "boards/rpi5/board.yaml")
    git(fork, "switch", "--quiet", "main")
    commit(fork, "boards/qemu-amd64/board.yaml")
    git(fork, "switch", "--quiet", "change")
    assert names_of(fork, "--base", "main") == ["rpi5"], "what main did meanwhile does not count"
    git(fork, "merge", "--quiet", "--no-edit", "main")
    assert names_of(fork, "--base", "HEAD^2") == ["rpi5"], "nor in the merge that CI checks out"


def test_a_parent_is_about_its_children(fork: Path) -> None:
    base = git(fork, "rev-parse", "HEAD")
    commit(fork, "boards/rpi/board.yaml")
    assert names_of(fork, "--base", base) == ["rpi", "rpi5"]
    first = commit(fork, "docs/index.md")
    assert names_of(fork, "--base", f"{first}^", "--head", first) == []


def test_a_file_that_moved_counts_in_both_places(fork: Path) -> None:
    commit(fork, "boards/qemu-amd64/files/etc/motd")
    (fork / "boards/rpi5/files/etc").mkdir(parents=True)
    git(fork, "mv", "boards/qemu-amd64/files/etc/motd", "boards/rpi5/files/etc/motd")
    commit(fork)
    assert names_of(fork, "--base", "HEAD^") == ["qemu-amd64", "rpi5"]


def test_names_of_files_are_taken_as_they_are(fork: Path) -> None:
    commit(fork, 'boards/rpi5/files/etc/n\u00e4me with "quotes"')
    assert names_of(fork, "--base", "HEAD^") == ["rpi5"]


def test_a_submodule_that_moved_is_about_the_examples(boards_only: Path, tmp_path: Path) -> None:
    git(boards_only, "rm", "--quiet", "-r", "--cached", "boardwright")
    git(boards_only / "boardwright", "init", "--quiet")
    for _ in range(2):
        commit(boards_only / "boardwright")
        commit(boards_only)
    examples = pick_examples(load_kinds(boards_only / "boards"))
    assert names_of(boards_only, "--base", "HEAD^") == examples
    tool = boards_only / "boardwright"
    assert names_of(tool, "--base", "HEAD^", "--boards", "../boards") == examples


def test_programs_get_json(fork: Path) -> None:
    commit(fork, "boards/rpi5/board.yaml")
    done = call("ci", "matrix", "--base", "HEAD^", "--json", cwd=fork)
    assert done.stdout.count("\n") == 1, "one line fits into an output of a job"
    assert json.loads(done.stdout) == [{"board": "rpi5", "architecture": "arm64"}]
    assert "rpi5: boards/rpi5/board.yaml" in done.stderr
    assert call("ci", "matrix", "--base", "HEAD", "--json", cwd=fork).stdout == "[]\n"


def test_a_commit_that_is_not_here_is_said(fork: Path) -> None:
    check_error(call("ci", "matrix", "--base", "nosuch", cwd=fork), 3, "nosuch...HEAD", "fetch-depth: 0")
    check_error(call("ci", "matrix", "--base=--output=x", cwd=fork), 3, "git cannot compare")
    assert not (fork / "x...HEAD").exists()


def test_boards_outside_of_git_have_no_changes(fork: Path, tmp_path: Path) -> None:
    (fork / "boards").rename(tmp_path / "boards")
    check_error(call("ci", "matrix", "--base", "HEAD", cwd=tmp_path), 3, "found no git repository", "omit --base")
    assert names_of(tmp_path) == ["qemu-amd64", "qemu-arm64", "rpi", "rpi5"]


def test_a_board_that_is_wrong_is_said(fork: Path) -> None:
    (fork / "boards/rpi5/board.yaml").write_text("extends: nosuch\n")
    done = call("ci", "matrix", cwd=fork)
    assert (done.returncode, done.stdout) == (3, "")
    assert "boards/rpi5/board.yaml" in done.stderr
