# SPDX-License-Identifier: MIT
"""Choose the boards that CI builds for a change.

| Change | boards |
|---|---|
| a file of a board | that board, and all that extend it |
| Boardwright's own code, its specs, the builder image | one board for each architecture and boot method |
| anything else: docs, tests, CI files | none |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder.ci.repository import Repository, find_repository
from builder.errors import RecipeError
from builder.recipe.load import load_board
from builder.recipe.status import list_made
from builder.system.git import call_git

CODE = ("builder", "specs", "Dockerfile.builder", "Makefile", "pyproject.toml")
"""Paths of Boardwright that affect images."""


@dataclass(frozen=True)
class ChangeKind:
    """Properties of a board that decide whether CI builds it."""

    architecture: str
    boot: str
    """Boot method of its recipe."""
    family: tuple[str, ...]
    """Names of the directories of its ancestors and of the board itself."""


@dataclass(frozen=True)
class Layout:
    """Paths from the top of the repository; "" is the top itself."""

    boards: str = "boards"
    tool: str = ""


def load_kinds(boards: Path) -> dict[str, ChangeKind]:
    """Return all boards of a directory by name. Raises RecipeError if one is invalid."""
    loaded = {name: load_board(boards, name) for name in list_made(boards)}
    return {
        name: ChangeKind(
            board.recipe.architecture.value, board.recipe.boot.method, tuple(path.name for path in board.directories)
        )
        for name, board in loaded.items()
    }


def find_changed(kinds: Mapping[str, ChangeKind], boards: Path, *, base: str, head: str) -> dict[str, str]:
    """Return the boards that changed between two commits of the checkout of `boards`, each with the reason.

    base  `head` is compared with their merge base, so later commits of `base` do not count

    Raises RecipeError if the boards are in no checkout, or a commit is missing.
    """
    repository = find_repository(boards)
    if repository is None:
        raise RecipeError(
            f"{boards}: found no git repository with Boardwright; expected one for --base",
            hint="omit --base to get all boards",
        )
    layout = Layout(_path(repository.boards, repository), _path(repository.tool, repository))
    return choose_boards(kinds, list_changes(repository, base, head), layout)


def list_changes(repository: Repository, base: str, head: str) -> list[str]:
    """Return the paths that a branch changed, from the top of the repository; for a renamed file both paths."""
    options = ("--name-only", "--no-renames", "-z", "--end-of-options")  # A commit must not be read as an option.
    result = call_git(repository.top, "diff", *options, f"{base}...{head}", "--")
    if result.code:
        raise RecipeError(
            f"git cannot compare {base} with {head}: {result.stderr.strip()}",
            hint="a shallow checkout lacks old commits; fetch all commits (fetch-depth: 0, GIT_DEPTH: 0)",
        )
    return [path for path in result.stdout.split("\0") if path]


def choose_boards(kinds: Mapping[str, ChangeKind], changed: Iterable[str], layout: Layout) -> dict[str, str]:
    """Return the boards that changed paths affect, in the order of `kinds`, each with the first such path."""
    chosen: dict[str, str] = {}
    for path in changed:
        for name in _find_affected(kinds, path, layout):
            chosen.setdefault(name, path)
    return {name: chosen[name] for name in kinds if name in chosen}


def _find_affected(kinds: Mapping[str, ChangeKind], path: str, layout: Layout) -> Sequence[str]:
    inside = _below(path, layout.boards)
    if len(inside) > 1:
        return [name for name, kind in kinds.items() if inside[0] in kind.family]
    if not inside and _is_code(path, layout):
        return pick_examples(kinds)
    return ()


def _is_code(path: str, layout: Layout) -> bool:
    if layout.tool and path == layout.tool:
        return True  # A submodule with a new commit.
    return next(iter(_below(path, layout.tool)), "") in CODE


def _below(path: str, directory: str) -> tuple[str, ...]:
    """Return the parts of a path below a directory; () if it is not below."""
    parts, above = PurePosixPath(path).parts, PurePosixPath(directory).parts
    return parts[len(above) :] if parts[: len(above)] == above else ()


def pick_examples(kinds: Mapping[str, ChangeKind]) -> list[str]:
    """Return the first board of each architecture and boot method."""
    first: dict[tuple[str, str], str] = {}
    for name, kind in kinds.items():
        first.setdefault((kind.architecture, kind.boot), name)
    return list(first.values())


def _path(path: Path, repository: Repository) -> str:
    """Return a path relative to the top of the repository; "" for the top itself."""
    relative_path = path.relative_to(repository.top).as_posix()
    return "" if relative_path == "." else relative_path
