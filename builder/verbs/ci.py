# SPDX-License-Identifier: MIT
"""`boardwright ci`: `ci install` writes the files of CI systems, `ci matrix` prints the boards to build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder import log
from builder.ci.install import BRANCH, compare, render, write
from builder.ci.matrix import find_changed, load_kinds
from builder.ci.provider import CiProvider
from builder.ci.repository import load_repository
from builder.errors import RecipeError
from builder.recipe.status import list_made
from builder.verbs.options import BOARDS, Boards, Json
from builder.verbs.session import cli_session, print_json, print_line

HINT = "`boardwright ci install --force` replaces it; lines with - are in the file, lines with + in the new one"

ci = typer.Typer(help="Let a CI system build, test and release the boards of a repository.", no_args_is_help=True)

Provider = Annotated[CiProvider, typer.Option(help="The CI system.")]
Directory = Annotated[
    Path, typer.Option("--directory", exists=True, file_okay=False, help="Top directory of the repository.")
]
BoardsInside = Annotated[
    Path | None,
    typer.Option(
        "--boards", envvar="BOARDWRIGHT_BOARDS", help="Its directory of boards; default: `boards`.", metavar="PATH"
    ),
]
Branch = Annotated[str, typer.Option(help="The branch on which each commit builds all boards.")]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; fail if the file is not current.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that was changed by hand.")]
Base = Annotated[str, typer.Option(metavar="COMMIT", help="The commit before the change; default: print all boards.")]
Head = Annotated[str, typer.Option(metavar="COMMIT", help="The last commit of the change.")]


@ci.command()
def install(
    provider: Provider,
    directory: Directory = Path(),
    branch: Branch = BRANCH,
    check: Check = False,
    force: Force = False,
    boards: BoardsInside = None,
) -> None:
    """Write the file with which a CI system builds, tests and releases the boards of a repository."""
    with cli_session(json=False):
        repository = load_repository(directory, boards)
        file = render(provider, repository, list_made(repository.boards), branch=branch)
        difference = compare(file, repository)
        if not difference:
            log.note(f"{file.path} is current")
        elif check or (file.path.exists() and not force):
            raise RecipeError(f"{file.path} differs from what this program writes:\n{difference}", hint=HINT)
        else:
            write(file, repository)
            print_line(str(file.path))


@ci.command()
def matrix(base: Base = "", head: Head = "HEAD", boards: Boards = BOARDS, json: Json = False) -> None:
    """Print the boards that a change affects, one per line; all boards without --base."""
    with cli_session(json=json, events=False):
        kinds = load_kinds(boards)
        chosen = find_changed(kinds, boards, base=base, head=head) if base else dict.fromkeys(kinds, "")
        for name, reason in chosen.items():
            if reason:
                log.note(f"{name}: {reason}")
        if json:
            print_json([{"board": name, "architecture": kinds[name].architecture} for name in chosen])
        elif chosen:
            print_line("\n".join(chosen))
