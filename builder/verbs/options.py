# SPDX-License-Identifier: MIT
"""The options of the command line, each defined once for all verbs.

Choices are StrEnums and not Literals: the builder image has Debian's typer, and its 0.15 knows no Literal.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from builder.cache.usage import CACHE_BYTES
from builder.choices import Assembler, CacheMode, EmulationChoice, Engine, Level
from builder.compression import Compression
from builder.errors import RecipeError
from builder.system.files import read_text
from builder.system.git import find_epoch, find_version
from builder.units import GIB, MIB, load_size


def check_directory(path: Path) -> Path:
    """Return a directory that is there or can be made; a wrong one is said before the build, not at its end."""
    nearest = _find_nearest(path)
    if not nearest.is_dir():
        raise typer.BadParameter(f"{nearest} is not a directory")
    return path


def check_output(path: Path) -> Path:
    """Return a directory that artefacts can be written to."""
    nearest = _find_nearest(check_directory(path))
    if not os.access(nearest, os.W_OK):
        raise typer.BadParameter(f"{nearest} may not be written to")
    return path


def _find_nearest(path: Path) -> Path:
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


def complete_board(context: typer.Context, incomplete: str) -> list[str]:
    """Return the boards whose names begin as what was typed, for the completion of shells."""
    boards = Path(context.params.get("boards") or BOARDS)
    names = [path.parent.name for path in boards.glob("[!_]*/board.yaml")]
    return sorted(name for name in names if name.startswith(incomplete))


BoardName = Annotated[
    str, typer.Argument(help="Name of a directory below boards/.", metavar="BOARD", autocompletion=complete_board)
]
BoardNames = Annotated[
    list[str] | None,
    typer.Argument(
        help="Names of directories below boards/.", metavar="BOARD", show_default=False, autocompletion=complete_board
    ),
]
AllBoards = Annotated[bool, typer.Option("--all", help="Build every board there is.")]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=0, help="How many boards at once; 0: by the cores and memory there are.")
]
Boards = Annotated[Path, typer.Option("--boards", envvar="BOARDWRIGHT_BOARDS", help="Directory of boards.")]
State = Annotated[
    Path,
    typer.Option(
        "--state",
        envvar="BOARDWRIGHT_WORK",
        callback=check_directory,
        help="Directory of work in progress and caches.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print what a program reads.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every line the tools say.")]
ImageVersion = Annotated[
    str, typer.Option("--version", envvar="VERSION", help="Version of the image; `git describe` without.")
]
EngineOption = Annotated[Engine, typer.Option(help="Where it runs: a container, or this machine (root, Debian).")]
AssemblerOption = Annotated[Assembler, typer.Option(help="How the image is assembled; the bytes are the same.")]
Compress = Annotated[Compression, typer.Option(help="How the artefact is compressed.")]
EmulationOption = Annotated[EmulationChoice, typer.Option(help="How programs of a foreign architecture run.")]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        callback=check_output,
        help="Directory of finished artefacts.",
    ),
]
UserData = Annotated[
    Path | None, typer.Option("--user-data", envvar="USER_DATA", help="cloud-init user-data to put into the image.")
]
Epoch = Annotated[
    int | None,
    typer.Option(envvar="SOURCE_DATE_EPOCH", min=0, help="No file is younger; the last commit's time without."),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail when the board is being built already.")]
ReuseRootfs = Annotated[
    bool, typer.Option("--reuse-rootfs", help="Take the last build's rootfs without asking for newer packages.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Make the rootfs anew, also where nothing has changed.")]
NoVerify = Annotated[
    bool, typer.Option("--no-verify", help="Do not run the specs: for a board that is not finished yet.")
]
CacheSize = Annotated[
    str, typer.Option("--max-size", envvar="BOARDWRIGHT_CACHE_SIZE", help="What the caches may hold afterwards.")
]
SharedCache = Annotated[
    str,
    typer.Option(
        "--cache", envvar="BOARDWRIGHT_CACHE", metavar="s3://BUCKET/PREFIX", help="A cache that machines share."
    ),
]
CacheModeOption = Annotated[
    CacheMode,
    typer.Option("--cache-mode", envvar="BOARDWRIGHT_CACHE_MODE", help="Only read from it, or write to it too."),
]


KEY_FILE = Path("boardwright.pub")
Dist = Annotated[Path, typer.Option("--dist", callback=check_directory, help="Where images of boards are looked for.")]
Key = Annotated[
    str,
    typer.Option(
        "--key",
        envvar="BOARDWRIGHT_PUBLIC_KEY",
        metavar="FILE_OR_KEY",
        help=f"Public key of the publisher: a file, or minisign's one line; {KEY_FILE} without, if it is here.",
    ),
]
ImageOrBoard = Annotated[
    str,
    typer.Argument(help="An image file, compressed or not, or a board: its newest.", metavar="IMAGE_OR_BOARD"),
]
AsBoard = Annotated[str, typer.Option("--board", help="The recipe to compare with; the image's own without.")]
LevelOption = Annotated[Level, typer.Option(help="offline reads the image; chroot also runs programs of it.")]
Boot = Annotated[bool, typer.Option("--boot", help="Also boot a copy in QEMU, and ask the running system.")]
Host = Annotated[str, typer.Option("--host", help="Ask this board, which runs the image: ssh://USER@ADDRESS[:PORT].")]
Identity = Annotated[
    Path | None, typer.Option("--identity", exists=True, dir_okay=False, help="ssh key for --host; your own without.")
]
SshPort = Annotated[
    int, typer.Option("--ssh-port", min=0, max=65535, help="Port of this machine that leads to ssh; a free one for 0.")
]
Only = Annotated[str, typer.Option(help="Run a part of the specs: words of their names, as for pytest -k.")]
ReportDirectory = Annotated[
    Path | None, typer.Option("--report", help="Directory of the report; beside the image without.")
]


BOARDS = Path("boards")
STATE = Path("work")
LONGEST_NAME = 4096
"""PATH_MAX of Linux: what is longer names no file."""
OLDEST, YOUNGEST = 315_532_800, 4_291_747_199
CACHE_SIZE = f"{CACHE_BYTES // GIB}GiB"
DIST = Path("dist")
PACKAGED = Path("release")
"""Where `package` writes packaged images, and `release` reads them."""


def load_cache_size(text: str) -> int:
    """Return the bytes of --max-size; RecipeError when it is no size."""
    try:
        return load_size(text)
    except ValueError as error:
        raise RecipeError(f"--max-size: {error}", hint="give one with --max-size or BOARDWRIGHT_CACHE_SIZE") from error


def load_moment(boards: Path, version: str, epoch: int | None) -> tuple[str, int]:
    """Return version and time; what the user did not name comes from git. RecipeError for a time that a FAT cannot
    say."""
    if epoch is not None and not OLDEST <= epoch <= YOUNGEST:
        raise RecipeError(
            f"--epoch: found {epoch}; allowed: {OLDEST} (1980) to {YOUNGEST} (2105), the times that a FAT can say",
            hint="give it with --epoch or SOURCE_DATE_EPOCH, in seconds since 1970",
        )
    return version or find_version(boards), epoch if epoch is not None else find_epoch(boards) or int(time.time())


def load_key_text(given: str) -> str:
    """Return the text of a public key: of the file that is named, of ./boardwright.pub where nothing is named, or what
    was given itself. Empty where there is no key."""
    name = given or str(KEY_FILE)
    is_name = "\n" not in name and len(name) < LONGEST_NAME
    return read_text(Path(name), limit=MIB) if is_name and Path(name).is_file() else given
