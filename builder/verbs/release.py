# SPDX-License-Identifier: MIT
"""`boardwright release`: upload packaged images and make them public."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from builder import log
from builder.catalogue.addresses import Addresses
from builder.catalogue.download_page import PublisherPage
from builder.catalogue.make import make_catalogue
from builder.errors import RecipeError
from builder.packaging.check_signatures import AnyPublicKey
from builder.packaging.tag import load_tag
from builder.recipe.status import list_made
from builder.release import publish
from builder.release.channels import choose_channels
from builder.release.collect import Requirements, collect
from builder.release.git_history import find_tag_object
from builder.release.publish import PublishRequest, TargetResult
from builder.release.target import Publisher, PublisherConfig, ReleaseContent
from builder.release.targets import ADDRESSES, WITH_URL, make_publishers
from builder.text import TextTable
from builder.units import render_size
from builder.verbs.options import BOARDS, PACKAGED, Boards, Json, Key, Verbose, load_key_text
from builder.verbs.session import cli_session, print_line, print_table

TagName = Annotated[str, typer.Argument(help="The tag to release, such as v1.0 or v1.0-rc1.", metavar="TAG")]
Packaged = Annotated[Path, typer.Option("--packaged", help="Directory of the packaged images.")]
To = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="TARGET", help=f"{ADDRESSES}; can be repeated."),
]
ChannelNames = Annotated[
    list[str] | None,
    typer.Option("--channel", help="A channel to update; default: stable and latest, for a pre-release latest."),
]
OfBoards = Annotated[
    list[str] | None,
    typer.Option("--board", help="A board of this release; default: all below --boards."),
]
PublicUrl = Annotated[
    str, typer.Option("--public-url", help=f"Public address of the files in --to {WITH_URL} https://…")
]
RequireSignature = Annotated[
    bool, typer.Option("--require-signature", help="Refuse a packaged image that is not signed.")
]
Unverified = Annotated[
    bool, typer.Option("--unverified", help="Accept images whose specs were not run; the download page shows that.")
]
Back = Annotated[bool, typer.Option("--back", help="Allow channels to go back from a newer release to this one.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]


def release(
    tag: TagName,
    packaged: Packaged = PACKAGED,
    to: To = None,
    channel: ChannelNames = None,
    board: OfBoards = None,
    public_url: PublicUrl = "",
    require_signature: RequireSignature = False,
    unverified: Unverified = False,
    key: Key = "",
    back: Back = False,
    dry_run: DryRun = False,
    boards: Boards = BOARDS,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Release packaged images: upload them to all targets, then make them public, then update the channels."""
    with cli_session(json=json, verbose=verbose):
        load = load_tag(tag)
        choice = choose_channels(load, channel or (), back=back)
        url = _check_url(public_url)
        text = load_key_text(key)
        public = AnyPublicKey.load(text) if text else None
        publishers = _make_publishers(to or (), tag=tag, url=url, key=public)
        demand = Requirements(
            load,
            board or list_made(boards),
            only=bool(board),
            signed=require_signature,
            unverified=unverified,
            key=public,
        )
        release_content = ReleaseContent(load, collect(packaged, demand))
        order = PublishRequest(release_content, choice, url, Path(), lambda: datetime.now(UTC))
        _run(publishers, order, dry=dry_run, json=json)


def _run(publishers: Sequence[Publisher], order: PublishRequest, *, dry: bool, json: bool) -> None:
    if dry:
        results = publish.dry_run(publishers, order)
    else:
        _, results = publish.publish(publishers, order)
    rows = [
        {
            "target": result.target,
            "address": result.address,
            "files": [{"name": step.name, "size": step.size_bytes, "what": step.what} for step in result.steps],
        }
        for result in results
    ]
    log.emit(
        log.Event("result", order.release_content.tag.text, {"targets": rows, "channels": list(order.choice.channels)})
    )
    if not json:
        _show(results, order, dry=dry)


def _show(results: Sequence[TargetResult], order: PublishRequest, *, dry: bool) -> None:
    if not dry:
        print_line("\n".join(result.address for result in results))
        return
    table = TextTable("Target", "File", "Size", "Action")
    actions = {"send": "would be uploaded", "there": "exists", "replace": "would be uploaded again"}
    for result in results:
        for step in result.steps:
            table.add_row(result.target, step.name, render_size(step.size_bytes), actions[step.what])
    print_table(table)
    log.note(f"{order.release_content.tag.text} would update the channels {', '.join(order.choice.channels)}")


def _make_publishers(to: Sequence[str], *, tag: str, url: str, key: AnyPublicKey | None) -> list[Publisher]:
    # A key of GnuPG is a block of text, which the commands on the page cannot take.
    site = PublisherPage(key=key.text if key and not key.is_gpg else "")
    catalogue = partial(make_catalogue, addresses=Addresses(url), site=site)
    return make_publishers(to, PublisherConfig(url=url, tag_object=find_tag_object(Path(), tag), catalogue=catalogue))


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query):
        raise RecipeError(
            "--public-url must be an http(s) URL without credentials or query",
            hint="for example https://images.example.org/boardwright",
        )
    return url.rstrip("/")
