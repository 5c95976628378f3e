# SPDX-License-Identifier: MIT
"""`boardwright run`: run a build request, as a child process of `boardwright build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder import log
from builder.engine.dispatch import build_on
from builder.request import load_request
from builder.verbs.session import cli_session

RequestFile = Annotated[Path, typer.Argument(metavar="REQUEST.json", help="A build request that `build` wrote.")]


def run(request: RequestFile) -> None:
    """Run a build request; print its events as JSON, one per line."""
    with cli_session(json=True):
        loaded = load_request(request)
        artefacts = build_on(loaded.make_plan(), loaded)
        data = {"artefacts": [artefact.to_row() for artefact in artefacts]}
        log.emit(log.Event("result", f"{loaded.board} {loaded.version}", data))
