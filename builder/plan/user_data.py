# SPDX-License-Identifier: MIT
"""Check user-data and network-config, so that mistakes show before the first boot.

They contain password hashes and keys. Messages, cache keys and plans contain only a digest of their content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from builder.plan.cloud_config import ConfigFault, find_faults, load_schema
from builder.plan.cloud_yaml import ValueFault, load_cloud_yaml
from builder.plan.network_config import find_network_faults
from builder.recipe.messages import check_no_problems
from builder.recipe.nodes import Position, Problem
from builder.recipe.yaml_reader import compose, read_text
from builder.system.checksums import sha256_bytes
from builder.system.files import read_bytes

FIRST_LINE = "#cloud-config"
BOM = "\ufeff"


def check_user_data(file: Path) -> tuple[str, ...]:
    """Return the warnings that cloud-init will give, with positions.

    Raises RecipeError, with positions, for content that cloud-init or one of its modules cannot use.
    """
    return _check(file, _find_user_data_problems, hint="https://docs.cloud-init.io/en/latest/reference/modules.html")


def check_network_config(file: Path) -> tuple[str, ...]:
    """Return warnings about a network-config, like `check_user_data`, by cloud-init's schema and netplan's keys."""
    return _check(file, _find_network_problems, hint="https://netplan.readthedocs.io/en/stable/netplan-yaml/")


Find = Callable[[str, Path], tuple[list[Problem], list[ConfigFault], Node | None]]


def _check(file: Path, find: Find, *, hint: str) -> tuple[str, ...]:
    problems: list[Problem] = []
    text = read_text(file, problems)
    faults: list[ConfigFault] = []
    root = None
    if text is not None:
        in_text, faults, root = find(text, file)
        problems.extend(in_text)
    problems.extend(Problem(_find_position(root, fault.path, file), fault.text) for fault in faults if fault.is_grave)
    check_no_problems(problems, hint=f"reference: {hint}")
    warnings = (Problem(_find_position(root, fault.path, Path(file.name)), fault.text) for fault in faults)
    return tuple(f"{warning}; it will be ignored" for warning in warnings)


def _find_user_data_problems(text: str, file: Path) -> tuple[list[Problem], list[ConfigFault], Node | None]:
    problems: list[Problem] = []
    first = text.partition("\n")[0].rstrip("\r")
    # cloud-init takes the type of a file from its first line, and ignores a file of an unknown type.
    if text.startswith(BOM):
        problems.append(Problem(Position(file, 1, 1), "found a byte order mark (BOM); expected UTF-8 without"))
    elif first.rstrip() != FIRST_LINE:
        found = "an empty first line" if not first.strip() else "another first line"
        problems.append(Problem(Position(file, 1, 1), f"found {found}; expected {FIRST_LINE}"))
    in_text, content, root = _load(text.removeprefix(BOM), file)
    problems.extend(in_text)
    return problems, find_faults(content, load_schema("cloud-config")) if content is not None else [], root


def _find_network_problems(text: str, file: Path) -> tuple[list[Problem], list[ConfigFault], Node | None]:
    problems, content, root = _load(text, file)
    if content is None:
        return problems, [], root
    top = content.get("network", content) if isinstance(content, dict) else content
    start: tuple[str | int, ...] = ("network",) if top is not content else ()
    faults = [ConfigFault((*start, *fault.path), fault.text, fault.is_grave) for fault in find_network_faults(top)]
    return problems, faults, root


def _load(text: str, file: Path) -> tuple[list[Problem], Any, Node | None]:
    """Return problems, content and root node of a YAML text; the content is None if there is a problem."""
    syntax: list[Problem] = []
    root = compose(text, file, syntax)
    # Text in quotes may be part of a password: without quotes, YAML reads *this as an unknown alias.
    problems = [Problem(problem.at, re.sub(r"['\"].*", "…", problem.text)) for problem in syntax]
    if root is not None and not isinstance(root, MappingNode):
        where = Position(file, root.start_mark.line + 1, root.start_mark.column + 1)
        problems.append(Problem(where, "found no mapping; expected `key: value` lines"))
    if problems or root is None:
        return problems, None, root
    try:
        return problems, load_cloud_yaml(text, root), root
    except ValueFault as fault:
        return [Problem(_find_position(root, fault.path, file), fault.problem)], None, root
    except MarkedYAMLError as error:
        where = Position(file, error.problem_mark.line + 1, error.problem_mark.column + 1)
        return [Problem(where, "not YAML 1.1, which cloud-init reads")], None, root


def _find_position(root: Node | None, path: Sequence[str | int], file: Path) -> Position:
    """Return the position of a key or an item, or of its nearest parent in the file."""
    line, column = 1, 1
    for step in path:
        child = next(((mark, value) for name, mark, value in _children(root) if name == step), None)
        if child is None:
            break
        mark, root = child
        line, column = mark.start_mark.line + 1, mark.start_mark.column + 1
    return Position(file, line, column)


def _children(node: Node | None) -> Iterator[tuple[str | int, Node, Node]]:
    """Yield name, node with the position, and value of all children of a node."""
    if isinstance(node, MappingNode):
        yield from ((key.value, key, value) for key, value in node.value)
    elif isinstance(node, SequenceNode):
        yield from ((index, item, item) for index, item in enumerate(node.value))


def digest_user_data(file: Path | None) -> str:
    """Return the SHA-256 of the file, or nothing without one."""
    return sha256_bytes(read_bytes(file)) if file else ""
