# SPDX-License-Identifier: MIT
"""The verb of the command line that fetches what was released."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder import log
from builder.fetch.fetch import Taken, Wanted, take
from builder.fetch.sources import open_source
from builder.signing.signature import PublicKey, load_public_key
from builder.verbs.options import DIST, CompressionName, Json, Output
from builder.verbs.session import print_line, telling

RELEASES = "github:boardwright/boardwright"
KEY_FILE = Path("boardwright.pub")

Board = Annotated[str, typer.Argument(help="A board of the release.", metavar="BOARD")]
From = Annotated[
    str,
    typer.Option(
        "--from",
        envvar="BOARDWRIGHT_RELEASES",
        metavar="PLACE",
        help="Where releases are: https://ADDRESS, a directory, github:OWNER/REPO.",
    ),
]
ChannelName = Annotated[str, typer.Option("--channel", help="stable: the newest release; latest: pre-releases too.")]
ReleasedVersion = Annotated[str, typer.Option("--version", help="A certain version instead, such as 1.0.")]
Key = Annotated[
    str,
    typer.Option(
        "--key",
        envvar="BOARDWRIGHT_PUBLIC_KEY",
        metavar="FILE_OR_KEY",
        help=f"minisign public key of the publisher; the file {KEY_FILE} without, if it is here.",
    ),
]
ImageCompression = Annotated[
    CompressionName | None, typer.Option("--compression", help="Which of the images; the smallest without.")
]


def fetch(
    board: Board,
    channel: ChannelName = "stable",
    version: ReleasedVersion = "",
    place: From = RELEASES,
    key: Key = "",
    compression: ImageCompression = None,
    output: Output = DIST,
    json: Json = False,
) -> None:
    """Download the newest released image of a board, check it, and print where it is."""
    with telling(json=json):
        wanted = Wanted(board, channel, version, compression, load_key(key))
        _show(take(open_source(place), wanted, output.resolve()), json=json)


def load_key(given: str) -> PublicKey | None:
    """Return the key that was given, or that lies in the working directory; None for neither. TrustError: no key."""
    if not given and KEY_FILE.is_file():
        given = str(KEY_FILE)
    return load_public_key(given) if given else None


def _show(taken: Taken, *, json: bool) -> None:
    package = taken.package
    data = {
        "path": str(taken.image),
        "board": package.board,
        "version": package.version,
        "tag": taken.tag,
        "sha256": taken.sha256,
        "image_sha256": package.image_sha256,
        "key": taken.key,
    }
    log.emit(log.Event("result", f"{package.board} {package.version}", data))
    if not json:
        print_line(str(taken.image))
