# SPDX-License-Identifier: MIT
"""Render the file of a CI system from its template, compare it with the repository's, write it."""

from __future__ import annotations

import difflib
import os
import re
import string
from dataclasses import dataclass
from pathlib import Path

from builder.ci.provider import CiProvider
from builder.ci.repository import Repository, relative
from builder.errors import RecipeError
from builder.system.atomic import write_replaced
from builder.system.files import InputError, read_text

BRANCH = "main"
MOVE = "move that file or directory away"
_BRANCH_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_PIN = re.compile(r"@[0-9a-f]{40} # v\S+")


@dataclass(frozen=True)
class CiFile:
    """Path and expected text of a file."""

    path: Path
    text: str


class _Template(string.Template):
    delimiter = "%"  # "$" is used by shells and by expressions of the CI systems.


def render(provider: CiProvider, repository: Repository, boards: list[str], *, branch: str = BRANCH) -> CiFile:
    """Return the file of a CI system for a repository.

    boards  names of all boards, for systems that cannot list them at run time
    branch  the branch on which each commit builds all boards

    Raises RecipeError for a branch name with characters that the file cannot hold.
    """
    if not _BRANCH_NAME.fullmatch(branch):
        raise RecipeError(
            f"--branch: found {branch!r}; expected letters, digits and ._/-",
            hint="set --branch to the branch of releases",
        )
    row, tool = provider.row, repository.tool
    options = [f"--provider {provider}"]
    if not repository.is_boardwright:
        options.append(f"--directory {relative(repository.top, tool)}")
    if branch != BRANCH:
        options.append(f"--branch {branch}")
    tool_path = relative(tool, repository.top)
    prefix = "" if repository.is_boardwright else f"{tool_path}/"
    text = _Template((Path(__file__).parent / row.template).read_text(encoding="utf-8")).substitute(
        tool=tool_path,
        prefix=prefix,
        boards=relative(repository.boards, tool),
        install=f"ci install {' '.join(options)}",
        check="make check" if repository.is_boardwright else "make boards",
        names=", ".join(f'"{board}"' for board in boards),  # In quotes: "on" is a valid name.
        board_lines="\n".join(_Template(row.board_line).substitute(board=board, prefix=prefix) for board in boards),
        branch=branch,
    )
    return CiFile(repository.top / row.path, text)


def compare(file: CiFile, repository: Repository) -> str:
    """Return a unified diff from the existing file to the expected one; "" if it is current.

    Commits of pinned actions are not compared: other programs keep them up to date. A missing file differs in every
    line. Raises RecipeError if the file cannot be read.
    """
    try:
        text = read_text(file.path, within=repository.top) if os.path.lexists(file.path) else ""
    except InputError as error:
        raise RecipeError(f"{file.path} cannot be read: {error.problem}", hint=MOVE) from error
    if _PIN.sub("", text) == _PIN.sub("", file.text):
        return ""
    lines = difflib.unified_diff(text.splitlines(), file.text.splitlines(), "found", "wanted", lineterm="")
    return "\n".join(lines)


def write(file: CiFile, repository: Repository) -> None:
    """Write the file atomically. Raises RecipeError if its path is outside the repository, or not writable."""
    if not file.path.resolve().is_relative_to(repository.top):
        raise RecipeError(f"{file.path} leads out of the repository, to {file.path.resolve()}", hint=MOVE)
    try:
        write_replaced(file.path, file.text.encode())
    except OSError as error:
        raise RecipeError(f"{file.path} cannot be written: {error.strerror}", hint=MOVE) from error
