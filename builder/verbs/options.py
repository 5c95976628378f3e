# SPDX-License-Identifier: MIT
"""Options of the command line, each defined once for all verbs.

Choices are StrEnums and not Literals, because Debian's typer 0.15 in the builder image does not support Literal.
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
    """Return a directory that exists or can be made; a wrong one fails before the build, not at its end."""
    nearest = _find_nearest(path)
    if not nearest.is_dir():
        raise typer.BadParameter(f"{nearest} is not a directory")
    return path


def check_output(path: Path) -> Path:
    """Return a directory that artefacts can be written to."""
    nearest = _find_nearest(check_directory(path))
    if not os.access(nearest, os.W_OK):
        raise typer.BadParameter(f"{nearest} is not writable")
    return path


def _find_nearest(path: Path) -> Path:
    return next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())


def complete_board(context: typer.Context, incomplete: str) -> list[str]:
    """Return the boards whose names start with the typed text, for shell completion."""
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
AllBoards = Annotated[bool, typer.Option("--all", help="Build all boards.")]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=0, help="Number of parallel builds; 0: as cores and memory allow.")
]
Boards = Annotated[Path, typer.Option("--boards", envvar="BOARDWRIGHT_BOARDS", help="Directory of boards.")]
State = Annotated[
    Path,
    typer.Option(
        "--state",
        envvar="BOARDWRIGHT_WORK",
        callback=check_directory,
        help="Directory for work in progress and caches.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show all output of the tools.")]
ImageVersion = Annotated[
    str, typer.Option("--version", envvar="VERSION", help="Version of the image; default: `git describe`.")
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
        help="Directory for finished artefacts.",
    ),
]
UserData = Annotated[
    Path | None, typer.Option("--user-data", envvar="USER_DATA", help="File with cloud-init user-data for the image.")
]
Epoch = Annotated[
    int | None,
    typer.Option(
        envvar="SOURCE_DATE_EPOCH", min=0, help="Latest time of any file, in seconds; default: that of the last commit."
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail if another build of the board is running.")]
ReuseRootfs = Annotated[
    bool, typer.Option("--reuse-rootfs", help="Reuse the last build's rootfs without a check for newer packages.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Make the rootfs again, even if nothing has changed.")]
NoVerify = Annotated[
    bool, typer.Option("--no-verify", help="Do not run the specs, for a board that is not finished yet.")
]
CacheSize = Annotated[
    str, typer.Option("--max-size", envvar="BOARDWRIGHT_CACHE_SIZE", help="Maximum size of the caches afterwards.")
]
SharedCache = Annotated[
    str,
    typer.Option(
        "--cache", envvar="BOARDWRIGHT_CACHE", metavar="s3://BUCKET/PREFIX", help="A cache that machines share."
    ),
]
CacheModeOption = Annotated[
    CacheMode,
    typer.Option("--cache-mode", envvar="BOARDWRIGHT_CACHE_MODE", help="Only read the shared cache, or also write it."),
]


KEY_FILE = Path("boardwright.pub")
Dist = Annotated[Path, typer.Option("--dist", callback=check_directory, help="Directory of the boards' images.")]
Key = Annotated[
    str,
    typer.Option(
        "--key",
        envvar="BOARDWRIGHT_PUBLIC_KEY",
        metavar="FILE_OR_KEY",
        help=f"Public key of the publisher: a file, or minisign's one line; default: {KEY_FILE} if it exists.",
    ),
]
ImageOrBoard = Annotated[
    str,
    typer.Argument(help="An image file, compressed or not, or a board (its newest image).", metavar="IMAGE_OR_BOARD"),
]
AsBoard = Annotated[str, typer.Option("--board", help="Board of the recipe to compare with; default: the image's own.")]
LevelOption = Annotated[Level, typer.Option(help="offline: read the image; chroot: also run its programs.")]
Boot = Annotated[bool, typer.Option("--boot", help="Also boot a copy in QEMU and verify the running system.")]
Host = Annotated[str, typer.Option("--host", help="Verify this running board instead: ssh://USER@ADDRESS[:PORT].")]
Identity = Annotated[
    Path | None, typer.Option("--identity", exists=True, dir_okay=False, help="ssh key for --host; default: your own.")
]
SshPort = Annotated[
    int, typer.Option("--ssh-port", min=0, max=65535, help="Port of this machine for the system's ssh; 0: a free one.")
]
Only = Annotated[str, typer.Option(help="Run only specs with these words in their names, as pytest -k does.")]
ReportDirectory = Annotated[
    Path | None, typer.Option("--report", help="Directory of the report; default: that of the image.")
]


BOARDS = Path("boards")
STATE = Path("work")
LONGEST_NAME = 4096
MINISIGN_LINE = 56
"""Characters of a public key of minisign, in base64."""
"""PATH_MAX of Linux: a longer text cannot be a file name."""
OLDEST, YOUNGEST = 315_532_800, 4_291_747_199
CACHE_SIZE = f"{CACHE_BYTES // GIB}GiB"
DIST = Path("dist")
PACKAGED = Path("release")
"""Directory into which `package` writes packaged images, and from which `release` reads them."""


def load_cache_size(text: str) -> int:
    """Return --max-size in bytes; RecipeError if it is not a size."""
    try:
        return load_size(text)
    except ValueError as error:
        raise RecipeError(f"--max-size: {error}", hint="change --max-size or BOARDWRIGHT_CACHE_SIZE") from error


def load_moment(boards: Path, version: str, epoch: int | None) -> tuple[str, int]:
    """Return version and time, from git if the user gave none; RecipeError for a time that a FAT cannot store."""
    if epoch is not None and not OLDEST <= epoch <= YOUNGEST:
        raise RecipeError(
            f"--epoch: found {epoch}; expected {OLDEST} (1980) to {YOUNGEST} (2105), the range of times on a FAT",
            hint="change --epoch or SOURCE_DATE_EPOCH, in seconds since 1970",
        )
    return version or find_version(boards), epoch if epoch is not None else find_epoch(boards) or int(time.time())


def load_key_text(given: str) -> str:
    """Return the text of a public key: the content of a named file, or the given text itself.

    The default is the content of ./boardwright.pub, or "" if that does not exist. RecipeError for a text that is
    neither a file nor a key.
    """
    name = given or str(KEY_FILE)
    is_name = "\n" not in name and len(name) < LONGEST_NAME
    if is_name and Path(name).is_file():
        return read_text(Path(name), limit=MIB)
    if given and is_name and len(given.strip()) != MINISIGN_LINE:
        raise RecipeError(f"--key: found {given!r}; expected a file or a public key", hint="name the file minisign.pub")
    return given
