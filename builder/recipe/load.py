# SPDX-License-Identifier: MIT
"""Load a board: its recipe, merged with its parents', checked, with absolute paths.

A board is a directory with a board.yaml; one whose name begins with `_` is a parent only. One RecipeError reports all
mistakes of a board and its parents.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from builder.errors import RecipeError
from builder.recipe.check import check_parts
from builder.recipe.expect import Expected
from builder.recipe.files import find_link_problems, find_overlay, find_script_problems, find_unused, resolve_files
from builder.recipe.messages import check_no_problems, explain
from builder.recipe.model import Recipe
from builder.recipe.nodes import (
    Map,
    Node,
    Problem,
    find_node,
    merge_maps,
    plain_value,
    render_path,
    suggest,
)
from builder.recipe.phrases import join_options
from builder.recipe.skeleton import render_board, render_readme
from builder.recipe.yaml_reader import describe, load_tree
from builder.system.atomic import give_name

MAX_PARENTS = 8
_BOARD_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
NAMES = "expected lower-case letters, digits and hyphens, no hyphen first"


@dataclass(frozen=True)
class Board:
    """A board, loaded from its directories."""

    name: str
    recipe: Recipe
    """All paths of files are absolute."""
    directories: tuple[Path, ...]
    """Absolute directories of the board and its ancestors, ancestors first."""
    files: tuple[Path, ...]
    """Existing overlay trees (`files/`), in the order in which they are laid over the rootfs."""
    family_packages: frozenset[str] = frozenset()
    """Names of packages that the first ancestor asks for; all boards that extend it share them."""
    expected: tuple[Expected, ...] = ()
    """Lines of `expect`, with their positions."""
    warnings: tuple[str, ...] = ()
    """Warnings about unused files beside board.yaml with a name similar to a used one."""


def list_boards(boards: Path) -> list[str]:
    """Return the names of all boards that can be built, sorted."""
    return [name for name in _list_directories(boards) if _BOARD_NAME.fullmatch(name)]


def _list_directories(boards: Path) -> list[str]:
    if not boards.is_dir():
        raise RecipeError(f"{boards}: not found; expected the directory of boards", hint="name it with --boards")
    return sorted(path.parent.name for path in boards.glob("*/board.yaml"))


def load_board(boards: Path, name: str) -> Board:
    """Return a board of the directory `boards`. Raises RecipeError, with all mistakes."""
    check_is_board(boards, name)
    problems: list[Problem] = []
    trees = _load_family(boards, name, problems)
    if not trees:
        check_no_problems(problems)
    merged = merge_maps(None, trees[0], problems)
    for tree in trees[1:]:
        merged = merge_maps(merged, tree, problems)
    recipe = _make_recipe(resolve_files(merged, problems), problems)
    directories = tuple(tree.at.file.parent.resolve() for tree in trees)
    overlays = [find_overlay(tree.at.file.parent, problems) for tree in trees]
    problems.extend(problem for tree in trees for problem in find_script_problems(tree.at.file.parent))
    problems.extend(problem for tree in trees for problem in find_link_problems(tree.at.file.parent))
    check_no_problems(problems)
    assert recipe is not None  # else there was a problem
    files = tuple(overlay.resolve() for overlay in overlays if overlay)
    return Board(
        name,
        recipe,
        directories,
        files,
        _find_package_names(trees[0]),
        expected=tuple(_find_expected(merged, recipe)),
        warnings=tuple(find_unused(directories, recipe)),
    )


def _find_expected(tree: Map, recipe: Recipe) -> Iterator[Expected]:
    for kind in type(recipe.expect).model_fields:
        for name, why in getattr(recipe.expect, kind).items():
            at = find_node(tree, ("expect", kind, name))[1].at
            yield Expected(kind, name, why, f"{at.file.parent.name}/{at.file.name}:{at.line}")


def _find_package_names(tree: Map) -> frozenset[str]:
    """Return the names in the `packages` of one file. Other values are left out: a child may have corrected them."""
    entry = tree.entries.get("packages")
    groups = plain_value(entry.node) if entry else None
    lists = groups.values() if isinstance(groups, dict) else ()
    return frozenset(name for names in lists if isinstance(names, list) for name in names if isinstance(name, str))


def check_is_board(boards: Path, name: str) -> None:
    """Raise RecipeError, with the existing names, unless `name` is a board."""
    names = list_boards(boards)
    if name not in names and "/" not in name and (boards / name).is_dir():
        raise _explain_directory(boards / name)
    if name not in names:
        known = ", ".join(names) or "none"
        raise RecipeError(
            f"board {name!r}: not found in {boards}; existing boards: {known}{suggest(name, names)}",
            hint="`boardwright new-board` makes a board",
        )


def _explain_directory(directory: Path) -> RecipeError:
    """Return the error for an existing directory that is not a board."""
    if directory.name.startswith("_"):
        return RecipeError(
            f"{directory}: found a parent of boards; expected a board", hint="build a board that extends it"
        )
    if not _BOARD_NAME.fullmatch(directory.name):
        return RecipeError(f"{directory}: found the name {directory.name!r}; {NAMES}", hint="rename the directory")
    return RecipeError(
        f"{directory}: found no board.yaml; expected one in a board's directory",
        hint="`boardwright new-board` makes a board",
    )


def _load_family(boards: Path, name: str, problems: list[Problem]) -> list[Map]:
    """Return the trees of a board and its ancestors, ancestors first; [] if one cannot be read."""
    trees: list[Map] = []
    names = [name]
    while True:
        tree = load_tree(boards / names[0] / "board.yaml", problems)
        if tree is None:
            return []
        trees.insert(0, tree)
        extends = tree.entries.get("extends")
        if extends is None:
            return trees
        fault = _find_parent_problem(boards, extends.node, names)
        if fault:
            problems.append(Problem(extends.node.at, f"extends: {fault}"))
            return []
        names.insert(0, str(plain_value(extends.node)))


def _find_parent_problem(boards: Path, extends: Node, names: list[str]) -> str:
    options = [option for option in _list_directories(boards) if option not in names]
    parent = plain_value(extends)
    if not isinstance(parent, str):
        return f"found {describe(extends)}; expected {join_options(options)}"
    if parent in names:
        return f"found {parent!r}, a loop: {' -> '.join([*reversed(names), parent])}; expected another board"
    if parent not in options:
        return f"found {parent!r}; expected {join_options(options)}{suggest(parent, options)}"
    if len(names) > MAX_PARENTS:
        return f"found {parent!r}, ancestor number {len(names)}; expected at most {MAX_PARENTS}"
    return ""


def _make_recipe(tree: Map, problems: list[Problem]) -> Recipe | None:
    data = json.dumps(plain_value(tree))  # As JSON: from Python values, strict mode takes Enum members only.
    try:
        recipe = Recipe.model_validate_json(data)
    except ValidationError as error:
        invalid = {str(details["loc"][0]) for details in error.errors() if details["loc"]}
        problems.extend(explain(error, tree))
        problems.extend(_check_valid_parts(tree, invalid))
        return None
    problems.extend(_place_findings(check_parts({key: getattr(recipe, key) for key in Recipe.model_fields}), tree))
    return recipe


def _check_valid_parts(tree: Map, wrong: set[str]) -> Iterable[Problem]:
    """Check the valid parts of a recipe that has other, invalid parts."""
    parts = {}
    for key, field in Recipe.model_fields.items():
        if key in wrong:
            continue
        entry = tree.entries.get(key)
        default = field.get_default(call_default_factory=True)
        adapter: TypeAdapter[object] = TypeAdapter(cast(type[object], field.annotation))
        parts[key] = adapter.validate_json(json.dumps(plain_value(entry.node)), strict=True) if entry else default
    return _place_findings(check_parts(parts), tree)


def _place_findings(findings: Iterable[tuple[tuple[str | int, ...], str]], tree: Map) -> list[Problem]:
    return [Problem(find_node(tree, path)[1].at, f"{render_path(path)}: {message}") for path, message in findings]


def new_board(boards: Path, name: str, parent: str) -> Path:
    """Make the directory of a new board that extends `parent`, and return it. On an error nothing is left."""
    if not _BOARD_NAME.fullmatch(name):
        raise RecipeError(f"found the name {name!r}; {NAMES}")
    load_board(boards, parent)  # The new board has all mistakes of its parent.
    target = boards / name
    if target.exists() or target.is_symlink():
        raise RecipeError(f"{target}: exists; expected a new name", hint="choose another name, or edit that board")
    with tempfile.TemporaryDirectory(dir=boards, prefix=f".{name}.") as scratch:
        directory = Path(scratch) / name
        (directory / "files").mkdir(parents=True)
        (directory / "files/.gitkeep").touch()
        (directory / "board.yaml").write_text(render_board(name, parent), encoding="utf-8")
        (directory / "README.md").write_text(render_readme(name, parent), encoding="utf-8")
        give_name(directory, target, durable=False)
    return target
