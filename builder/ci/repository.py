# SPDX-License-Identifier: MIT
"""Find the top, the boards and Boardwright in a repository that CI builds.

Boardwright is the repository itself (a fork), or a submodule in the directory `boardwright/`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from builder.errors import RecipeError
from builder.system.git import call_git

TOOL = "boardwright"
"""Directory of Boardwright as a submodule."""
TOOL_HINT = f"git submodule add https://github.com/boardwright/boardwright {TOOL}"
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")


@dataclass(frozen=True)
class Repository:
    """A checkout; its paths are absolute and inside `top`."""

    top: Path
    boards: Path
    tool: Path
    """Directory of Boardwright's Makefile."""

    @property
    def is_boardwright(self) -> bool:
        """True for Boardwright itself, false for a repository that has it as a submodule."""
        return self.tool == self.top


def load_repository(top: Path, boards: Path | None) -> Repository:
    """Return the repository of a directory.

    boards  its directory of boards; None: `boards` in it

    Raises RecipeError if it is not the top of a git repository, has no Boardwright, or the boards are outside.
    """
    top = top.resolve()
    if not (top / ".git").exists():
        raise RecipeError(
            f"{top}: found no .git; expected the top of a git repository",
            hint="name it with --directory, or call git init there",
        )
    boards = (boards or top / "boards").resolve()
    if not boards.is_relative_to(top):
        raise RecipeError(
            f"{boards}: found outside the repository; expected boards in {top}", hint="name them with --boards"
        )
    if not _PLAIN.fullmatch(relative(boards, top)):
        raise RecipeError(
            f"--boards: found {relative(boards, top)!r}; expected letters, digits and ._/-", hint="rename the directory"
        )
    tool = find_tool(top)
    if tool is None:
        raise RecipeError(f"{top}: found no Boardwright; expected it there or in {TOOL}/", hint=TOOL_HINT)
    return Repository(top, boards, tool)


def find_repository(boards: Path) -> Repository | None:
    """Return the repository of a directory of boards; None without a repository, or if it has no Boardwright."""
    result = call_git(boards, "rev-parse", "--show-toplevel")
    top = Path(result.stdout.rstrip("\n")).resolve()
    tool = None if result.code else find_tool(top)
    return Repository(top, boards.resolve(), tool) if tool else None


def find_tool(top: Path) -> Path | None:
    """Return the directory of Boardwright in a repository, or None."""
    return next((path for path in (top, top / TOOL) if (path / "builder/setup.sh").is_file()), None)


def relative(path: Path, start: Path) -> str:
    """Return a path relative to `start`, with `..`: CI files must not contain paths of this machine."""
    return os.path.relpath(path, start)
