# SPDX-License-Identifier: MIT
"""The file of a CI system: made from a template beside this module, compared with what a repository has, written.

A template is the file itself, with `%{name}` where it depends on the repository; `%%` is a percent sign.
"""

from __future__ import annotations

import difflib
import os
import re
import string
from dataclasses import dataclass
from pathlib import Path

from builder.ci.repository import Repository, relative
from builder.errors import RecipeError
from builder.system.atomic import write_replaced
from builder.system.files import InputError, read_text

BRANCH = "main"
MOVE = "move what is there out of the way"
_BRANCH_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_PIN = re.compile(r"@[0-9a-f]{40} # v\S+")


@dataclass(frozen=True)
class Provider:
    """A CI system."""

    path: str
    """Where it looks for its file, from the top of the repository."""
    template: str
    each: str = ""
    """A line for each board, where the file names them: a template too."""


PROVIDERS = {
    "github": Provider(".github/workflows/boardwright.yml", "github.yml"),
    "gitlab": Provider(".gitlab-ci.yml", "gitlab.yml"),
    "travis": Provider(
        ".travis.yml",
        "travis.yml",
        each='    - {<<: *build, name: "%{board}", env: BOARD=%{board},'
        ' workspaces: {create: {name: "%{board}", paths: [%{prefix}dist]}}}',
    ),
}


@dataclass(frozen=True)
class Wanted:
    """A file as it should be."""

    path: Path
    text: str


class _Template(string.Template):
    delimiter = "%"  # The dollar belongs to shells and to expressions of the CI systems.


def render(name: str, repository: Repository, boards: list[str], *, branch: str = BRANCH) -> Wanted:
    """Return the file that the CI system `name` wants in a repository.

    boards  names of all boards; only systems that cannot ask for them while they run write them down
    branch  the branch whose every commit builds all boards

    Raises RecipeError for a name that is no branch of a file like this.
    """
    if not _BRANCH_NAME.fullmatch(branch):
        raise RecipeError(
            f"--branch: found {branch!r}; allowed: letters, digits and ._/-",
            hint="name the branch that releases grow on",
        )
    provider, tool = PROVIDERS[name], repository.tool
    options = [f"--provider {name}"]
    if not repository.is_boardwright:
        options.append(f"--directory {relative(repository.top, tool)}")
    if branch != BRANCH:
        options.append(f"--branch {branch}")
    place = relative(tool, repository.top)
    prefix = "" if repository.is_boardwright else f"{place}/"
    text = _Template((Path(__file__).parent / provider.template).read_text(encoding="utf-8")).substitute(
        tool=place,
        prefix=prefix,
        boards=relative(repository.boards, tool),
        install=f"ci install {' '.join(options)}",
        check="make check" if repository.is_boardwright else "make boards",
        names=", ".join(f'"{board}"' for board in boards),  # one may be called "on"
        each="\n".join(_Template(provider.each).substitute(board=board, prefix=prefix) for board in boards),
        branch=branch,
    )
    return Wanted(repository.top / provider.path, text)


def compare(wanted: Wanted, repository: Repository) -> str:
    """Return what has to change in the file that is there, as a unified diff; nothing when it is current.

    The commits that actions are pinned to are the repository's own affair: there are programs that keep them new.
    A file that is missing differs in every line. Raises RecipeError when it cannot be read.
    """
    try:
        found = read_text(wanted.path, within=repository.top) if os.path.lexists(wanted.path) else ""
    except InputError as error:
        raise RecipeError(f"{wanted.path} cannot be read: {error.problem}", hint=MOVE) from error
    if _PIN.sub("", found) == _PIN.sub("", wanted.text):
        return ""
    lines = difflib.unified_diff(found.splitlines(), wanted.text.splitlines(), "found", "wanted", lineterm="")
    return "\n".join(lines)


def write(wanted: Wanted, repository: Repository) -> None:
    """Write the file, whole or not at all; RecipeError when its place is not in the repository, or not writable."""
    if not wanted.path.resolve().is_relative_to(repository.top):
        raise RecipeError(f"{wanted.path} leads out of the repository, to {wanted.path.resolve()}", hint=MOVE)
    try:
        write_replaced(wanted.path, wanted.text.encode())
    except OSError as error:
        raise RecipeError(f"{wanted.path} cannot be written: {error.strerror}", hint=MOVE) from error
