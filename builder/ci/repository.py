# SPDX-License-Identifier: MIT
"""Where things are in a repository that CI builds: its top, its boards, and Boardwright itself.

Boardwright is the repository, as in a fork of it, or lies in its directory `boardwright/`, as a submodule.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from builder.errors import RecipeError
from builder.system.git import call_git

TOOL = "boardwright"
"""Name of the directory in a repository that has Boardwright as a submodule."""
TOOL_HINT = f"git submodule add https://github.com/boardwright/boardwright {TOOL}"
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")


@dataclass(frozen=True)
class Repository:
    """A checkout. Paths are absolute, and below `top`."""

    top: Path
    boards: Path
    tool: Path
    """Where Boardwright's Makefile is."""

    @property
    def is_boardwright(self) -> bool:
        """Whether it is Boardwright with all its code, and not a repository that has it as a submodule."""
        return self.tool == self.top


def load_repository(top: Path, boards: Path | None) -> Repository:
    """Return the repository of a directory.

    boards  its directory of boards; `boards` in it without

    Raises RecipeError when it is no top of a git repository, holds no Boardwright, or the boards are outside.
    """
    top = top.resolve()
    if not (top / ".git").exists():
        raise RecipeError(
            f"{top} is not the top of a git repository", hint="name another with --directory, or call git init there"
        )
    boards = (boards or top / "boards").resolve()
    if not boards.is_relative_to(top):
        raise RecipeError(f"the boards in {boards} are outside the repository {top}", hint="name others with --boards")
    if not _PLAIN.fullmatch(relative(boards, top)):
        raise RecipeError(
            f"found the boards in {relative(boards, top)!r}; allowed: letters, digits and ._/-", hint="rename it"
        )
    tool = find_tool(top)
    if tool is None:
        raise RecipeError(f"{top} has no Boardwright, neither itself nor in {TOOL}/", hint=TOOL_HINT)
    return Repository(top, boards, tool)


def find_repository(boards: Path) -> Repository | None:
    """Return the repository that a directory of boards is in; None where it is in none, or there is no Boardwright."""
    result = call_git(boards, "rev-parse", "--show-toplevel")
    top = Path(result.stdout.rstrip("\n")).resolve()
    tool = None if result.code else find_tool(top)
    return Repository(top, boards.resolve(), tool) if tool else None


def find_tool(top: Path) -> Path | None:
    """Return the directory of Boardwright in a repository, None where there is none."""
    return next((each for each in (top, top / TOOL) if (each / "builder/setup.sh").is_file()), None)


def relative(path: Path, start: Path) -> str:
    """Return how a path is written from another, `..` included: a file of CI names no place of this machine."""
    return os.path.relpath(path, start)
