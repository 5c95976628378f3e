# SPDX-License-Identifier: MIT
"""A user's own user-data file: checked here, so that a slip in it does not show at the first boot only.

It holds password hashes and keys. Nothing of its content goes into a message, a key or a plan but its digest.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ruamel.yaml.nodes import MappingNode

from builder.recipe.problems import check_no_problems
from builder.recipe.source import compose, read_text
from builder.recipe.tree import Position, Problem

_FIRST_LINE = "#cloud-config"


def check_user_data(file: Path) -> None:
    """Raise RecipeError, with positions, unless the file is a cloud-config that cloud-init will take."""
    problems: list[Problem] = []
    text = read_text(file, problems)
    if text is not None:
        problems.extend(_check_text(text, file))
    check_no_problems(problems)


def _check_text(text: str, file: Path) -> list[Problem]:
    problems: list[Problem] = []
    start = Position(file, 1, 1)
    # cloud-init reads the first line only to know what a file is, and ignores a file it does not know.
    if text.partition("\n")[0].rstrip() != _FIRST_LINE:
        problems.append(Problem(start, f"found another first line; needed: {_FIRST_LINE}"))
    syntax: list[Problem] = []
    root = compose(text, file, syntax)
    # What is quoted may be part of a password: *this, unquoted, is an unknown alias to YAML.
    problems.extend(Problem(problem.at, re.sub(r"['\"].*", "…", problem.text)) for problem in syntax)
    if root is not None and not isinstance(root, MappingNode):
        where = Position(file, root.start_mark.line + 1, root.start_mark.column + 1)
        problems.append(Problem(where, "found no mapping; allowed: `key: value` lines"))
    return problems


def digest_user_data(file: Path | None) -> str:
    """Return the SHA-256 of the file, or nothing without one."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else ""
