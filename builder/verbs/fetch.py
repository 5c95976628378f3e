# SPDX-License-Identifier: MIT
"""`boardwright fetch`: download a released image and check it."""

from __future__ import annotations

from typing import Annotated

import typer

from builder import log
from builder.compression import Compression
from builder.fetch import fetch as stage
from builder.fetch.fetch import FetchedImage, FetchRequest
from builder.fetch.sources import open_source
from builder.signing.signature import load_public_key
from builder.verbs.options import DIST, Json, Key, Output, load_key_text
from builder.verbs.session import cli_session, print_line

RELEASES = "github:boardwright/boardwright"

Board = Annotated[str, typer.Argument(help="A board of the release.", metavar="BOARD")]
From = Annotated[
    str,
    typer.Option(
        "--from",
        envvar="BOARDWRIGHT_RELEASES",
        metavar="PLACE",
        help="Source of releases: https://ADDRESS, a directory, github:OWNER/REPO.",
    ),
]
ChannelName = Annotated[str, typer.Option("--channel", help="stable: the newest release; latest: pre-releases too.")]
ReleasedVersion = Annotated[str, typer.Option("--version", help="This version instead of a channel, such as 1.0.")]
ImageCompression = Annotated[
    Compression | None, typer.Option("--compress", help="Which of the images; the smallest without.")
]


def fetch(
    board: Board,
    channel: ChannelName = "stable",
    version: ReleasedVersion = "",
    source: From = RELEASES,
    key: Key = "",
    compress: ImageCompression = None,
    output: Output = DIST,
    json: Json = False,
) -> None:
    """Download the newest released image of a board, check it, and print its path."""
    with cli_session(json=json):
        text = load_key_text(key)
        public_key = load_public_key(text) if text else None
        request = FetchRequest(board, channel, version, compress, public_key)
        _show(stage.fetch(open_source(source), request, output.resolve()), json=json)


def _show(fetched: FetchedImage, *, json: bool) -> None:
    package = fetched.package
    data = {
        "path": str(fetched.image),
        "board": package.board,
        "version": package.version,
        "tag": fetched.tag,
        "sha256": fetched.sha256,
        "image_sha256": package.image_sha256,
        "key": fetched.key,
    }
    log.emit(log.Event("result", f"{package.board} {package.version}", data))
    if not json:
        print_line(str(fetched.image))
