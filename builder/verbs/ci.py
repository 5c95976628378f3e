# SPDX-License-Identifier: MIT
"""The verbs of the command line for CI systems: `ci install` writes their files, `ci matrix` says what to build."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from builder import log
from builder.ci.install import BRANCH, compare, render, write
from builder.ci.matrix import find_changed, load_kinds
from builder.ci.repository import load_repository
from builder.errors import RecipeError
from builder.recipe.status import list_made
from builder.verbs.options import BOARDS, Boards, Json
from builder.verbs.session import cli_session, print_json, print_line

HINT = "`boardwright ci install` with --force writes it anew; lines with - are there, lines with + would be"

ci = typer.Typer(help="Let a CI system build, prove and release the boards of a repository.", no_args_is_help=True)


class ProviderName(StrEnum):
    """A CI system."""

    GITHUB = "github"
    GITLAB = "gitlab"
    TRAVIS = "travis"


Provider = Annotated[ProviderName, typer.Option(help="The CI system.")]
Directory = Annotated[
    Path, typer.Option("--directory", exists=True, file_okay=False, help="The repository; its top directory.")
]
BoardsInside = Annotated[
    Path | None,
    typer.Option(
        "--boards", envvar="BOARDWRIGHT_BOARDS", help="Its directory of boards; `boards` in it without.", metavar="PATH"
    ),
]
Branch = Annotated[str, typer.Option(help="The branch whose every commit builds all boards.")]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; fail when the file is not current.")]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is not as this program writes it.")]
Base = Annotated[
    str, typer.Option(metavar="COMMIT", help="What the change started from; without it, the boards are all there are.")
]
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
    """Write the file that tells a CI system to build, prove and release the boards of a repository."""
    with cli_session(json=False):
        repository = load_repository(directory, boards)
        wanted = render(provider.value, repository, list_made(repository.boards), branch=branch)
        difference = compare(wanted, repository)
        if not difference:
            log.note(f"{wanted.path} is current")
        elif check or (wanted.path.exists() and not force):
            raise RecipeError(f"{wanted.path} is not what this program writes:\n{difference}", hint=HINT)
        else:
            write(wanted, repository)
            print_line(str(wanted.path))


@ci.command()
def matrix(base: Base = "", head: Head = "HEAD", boards: Boards = BOARDS, json: Json = False) -> None:
    """Print the boards that a change is about, one a line; all there are without --base."""
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
