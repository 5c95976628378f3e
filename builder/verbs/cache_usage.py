# SPDX-License-Identifier: MIT
"""List and shrink the caches of builds, on this machine or in the Engine's volume by the same program there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builder.cache.usage import find_items, shrink
from builder.choices import Engine
from builder.engine.docker.answers import load_items
from builder.engine.docker.connect import choose_engine, open_engine
from builder.engine.docker.container import VOLUME
from builder.engine.docker.query import ask_inside, has_volume
from builder.text import TextTable
from builder.units import render_size

Verb = Literal["ls", "gc", "clear"]


@dataclass(frozen=True)
class UsageLine:
    """A cache entry that is kept or was removed; `used` in seconds since 1970."""

    kind: str
    name: str
    size: int
    used: int


def run_cache(
    verb: Verb, state: Path, *, engine: Engine = Engine.AUTO, limit_bytes: int, volume: str = VOLUME
) -> list[UsageLine]:
    """Return all cache entries (ls), or the removed ones: down to `limit_bytes` (gc), or all (clear)."""
    if choose_engine(engine) == Engine.LOCAL:
        items = find_items(state) if verb == "ls" else shrink(state, 0 if verb == "clear" else limit_bytes)
        return [UsageLine(item.kind, item.name, item.size_bytes, int(item.used)) for item in items]
    with open_engine() as api:
        if not has_volume(api, volume):
            return []
        limit = ("--max-size", str(limit_bytes)) if verb == "gc" else ()
        answer = ask_inside(api, state, ("cache", verb, *limit), volume=volume)
    return [UsageLine(item.kind, item.name, item.size, item.used) for item in load_items(answer)]


def render_lines(lines: Sequence[UsageLine], *, total: str) -> TextTable:
    """Return the lines as a table: packages in one row, the most recently used first."""
    table = TextTable("Kind", "Name", "Size", "Last used")
    packages = [line for line in lines if line.kind == "package"]
    shown = [line for line in lines if line.kind != "package"]
    if packages:
        size, used = sum(line.size for line in packages), max(line.used for line in packages)
        shown.append(UsageLine("package", f"{len(packages)} packages", size, used))
    for line in sorted(shown, key=lambda line: -line.used):
        table.add_row(line.kind, line.name, render_size(line.size), _render_time(line.used))
    table.add_row(total, "", render_size(sum(line.size for line in lines)), "")
    return table


def _render_time(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
