# SPDX-License-Identifier: MIT
"""`boardwright cache`: list or shrink the caches."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from builder.choices import Engine
from builder.verbs.cache_usage import Verb, render_lines, run_cache
from builder.verbs.options import CACHE_SIZE, STATE, CacheSize, EngineOption, Json, State, load_cache_size
from builder.verbs.session import cli_session, print_json, print_table

caches = typer.Typer(help="List the caches, or make them smaller.", no_args_is_help=True)


@caches.command("ls")
def cache_ls(engine: EngineOption = Engine.AUTO, state: State = STATE, json: Json = False) -> None:
    """List cached packages, downloads, indexes, native twins and rootfs."""
    _do_cache("ls", engine, state, CACHE_SIZE, json=json)


@caches.command("gc")
def cache_gc(
    max_size: CacheSize = CACHE_SIZE, engine: EngineOption = Engine.AUTO, state: State = STATE, json: Json = False
) -> None:
    """Remove the least recently used entries until the rest fits; print the removed entries."""
    _do_cache("gc", engine, state, max_size, json=json)


@caches.command("clear")
def cache_clear(engine: EngineOption = Engine.AUTO, state: State = STATE, json: Json = False) -> None:
    """Remove all entries that no build uses; print the removed entries."""
    _do_cache("clear", engine, state, CACHE_SIZE, json=json)


def _do_cache(verb: Verb, engine: Engine, state: Path, max_size: str, *, json: bool) -> None:
    with cli_session(json=json, events=False):
        lines = run_cache(verb, state.resolve(), engine=engine, limit_bytes=load_cache_size(max_size))
        if json:
            print_json([asdict(line) for line in lines])
        else:
            print_table(render_lines(lines, total="total" if verb == "ls" else "removed"))
