# SPDX-License-Identifier: MIT
"""The boards that a change is about: what has to be built again to know that it works.

| What changed | boards |
|---|---|
| a file of a board | that board, and all that extend it |
| Boardwright's own code, its specs, the builder image | one board of each architecture and way to boot |
| anything else: docs, tests, the files of CI | none |
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
"""What of Boardwright decides an image."""


@dataclass(frozen=True)
class Kind:
    """A board, as far as it matters here."""

    architecture: str
    boot: str
    """Way to boot: the method of its recipe."""
    family: tuple[str, ...]
    """Names of the directories of its ancestors and its own."""


@dataclass(frozen=True)
class Layout:
    """Where things are: paths from the top of the repository, "" for the top itself."""

    boards: str = "boards"
    tool: str = ""


def load_kinds(boards: Path) -> dict[str, Kind]:
    """Return all boards of a directory by name; RecipeError when one of them is wrong."""
    loaded = {name: load_board(boards, name) for name in list_made(boards)}
    return {
        name: Kind(
            board.recipe.architecture.value, board.recipe.boot.method, tuple(path.name for path in board.directories)
        )
        for name, board in loaded.items()
    }


def find_changed(kinds: Mapping[str, Kind], boards: Path, *, base: str, head: str) -> dict[str, str]:
    """Return the boards that differ between two commits of the checkout that `boards` is in, each with the reason.

    base  compared is what they last had in common, so what came to the base meanwhile does not count

    Raises RecipeError when the boards are in no checkout, or one of the commits is not in it.
    """
    repository = find_repository(boards)
    if repository is None:
        raise RecipeError(
            f"{boards} is in no git repository with Boardwright, so there is no change to look at",
            hint="leave --base out: then it is all boards",
        )
    layout = Layout(_path(repository.boards, repository), _path(repository.tool, repository))
    return choose_boards(kinds, list_changes(repository, base, head), layout)


def list_changes(repository: Repository, base: str, head: str) -> list[str]:
    """Return the paths that a branch has changed, from the top of the repository; of a renamed file, both."""
    options = ("--name-only", "--no-renames", "-z", "--end-of-options")  # else a commit could be an option
    result = call_git(repository.top, "diff", *options, f"{base}...{head}", "--")
    if result.code:
        raise RecipeError(
            f"git cannot compare {base} with {head}: {result.stderr.strip()}",
            hint="a shallow checkout lacks old commits; fetch all of them (fetch-depth: 0, GIT_DEPTH: 0)",
        )
    return [path for path in result.stdout.split("\0") if path]


def choose_boards(kinds: Mapping[str, Kind], changed: Iterable[str], layout: Layout) -> dict[str, str]:
    """Return the boards that changed paths are about, in the order of `kinds`, each with the first of these paths."""
    chosen: dict[str, str] = {}
    for path in changed:
        for name in _find_affected(kinds, path, layout):
            chosen.setdefault(name, path)
    return {name: chosen[name] for name in kinds if name in chosen}


def _find_affected(kinds: Mapping[str, Kind], path: str, layout: Layout) -> Sequence[str]:
    inside = _below(path, layout.boards)
    if len(inside) > 1:
        return [name for name, kind in kinds.items() if inside[0] in kind.family]
    if not inside and _is_code(path, layout):
        return pick_examples(kinds)
    return ()


def _is_code(path: str, layout: Layout) -> bool:
    if layout.tool and path == layout.tool:
        return True  # A submodule: its commit is another.
    return next(iter(_below(path, layout.tool)), "") in CODE


def _below(path: str, directory: str) -> tuple[str, ...]:
    """Return the parts of a path below a directory; none when it is not below."""
    parts, above = PurePosixPath(path).parts, PurePosixPath(directory).parts
    return parts[len(above) :] if parts[: len(above)] == above else ()


def pick_examples(kinds: Mapping[str, Kind]) -> list[str]:
    """Return the first board of each architecture and way to boot."""
    first: dict[tuple[str, str], str] = {}
    for name, kind in kinds.items():
        first.setdefault((kind.architecture, kind.boot), name)
    return list(first.values())


def _path(place: Path, repository: Repository) -> str:
    path = place.relative_to(repository.top).as_posix()
    return "" if path == "." else path
