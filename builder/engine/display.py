# SPDX-License-Identifier: MIT
"""Show the events of several boards: as one row each on a terminal, else as lines or JSON events with the board."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.text import Text

from builder import log
from builder.log import Event, Sink
from builder.text import SafeConsole, TextTable, make_visible

RowOf = Callable[[str], Sink]


@contextmanager
def open_rows(boards: Sequence[str], *, json: bool, verbose: bool) -> Iterator[RowOf]:
    """Yield a function that returns the sink of a board, for a program, a file or a terminal."""
    if json:
        events = log.Json(sys.stdout)
        yield lambda board: Tagged(board, events)
        return
    if not sys.stderr.isatty():
        width = max(map(len, boards))
        yield lambda board: Lines(board.ljust(width), sys.stderr, verbose=verbose)
        return
    console = SafeConsole(stderr=True, highlight=False)
    rows = {board: BoardRow(board, console, verbose=verbose) for board in boards}
    with Live(console=console, get_renderable=lambda: render(rows.values()), refresh_per_second=8):
        yield rows.__getitem__


class Tagged:
    """Sink that adds the board to the `data` of JSON events."""

    def __init__(self, board: str, events: Sink) -> None:
        self._board = board
        self._events = events

    def show(self, event: Event) -> None:
        self._events.show(replace(event, data={**event.data, "board": self._board}))


class Lines:
    """Sink that prints the events of one board as plain lines with its name as prefix."""

    def __init__(self, name: str, stream: TextIO, *, verbose: bool) -> None:
        self._stream = _Prefixed(name, stream)
        self._plain = log.Plain(self._stream, verbose=verbose)

    def show(self, event: Event) -> None:
        if event.kind == "error":
            self._stream.write(_error_text(event))
        self._plain.show(event)


class _Prefixed(io.StringIO):
    """Text stream that adds a name before each line."""

    def __init__(self, name: str, stream: TextIO) -> None:
        super().__init__()
        self._name = name
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write("".join(f"{self._name}  {line}\n" for line in make_visible(text).splitlines()))
        self._stream.flush()
        return len(text)


class BoardRow:
    """Sink that shows a board as one row: step, last message, time. Errors and warnings are printed above the rows."""

    def __init__(self, board: str, console: Console, *, verbose: bool) -> None:
        self._board = board
        self._console = console
        self._verbose = verbose
        self._steps: list[str] = []
        self._words = ""
        self._mark: RenderableType = Spinner("dots")
        self._begun: float | None = None
        self._seconds: float | None = None

    def show(self, event: Event) -> None:
        self._begun = self._begun or time.monotonic()
        if event.kind == "start":
            self._steps.append(event.text)
        if event.kind in ("end", "fail") and self._steps:
            self._steps.pop()
        self._words = log.last_words(event) if event.kind in ("line", "progress", "note") else ""
        if event.kind in ("result", "error"):
            self._close(Text("✓", style="green") if event.kind == "result" else Text("✗", style="red"))
        if event.kind == "error":
            self._print(f"[red]{escape(_error_text(event))}[/red]")
        elif event.kind == "warn":
            self._print(f"[yellow]![/yellow] {escape(event.text)}")
        elif event.kind == "line" and self._verbose:
            self._print(f"[dim]{escape(event.text)}[/dim]")

    def cells(self) -> tuple[RenderableType, ...]:
        """Return the cells of the row: mark, board, seconds, step, last message."""
        if self._begun is None:
            return "", self._board, "", Text("waiting", style="dim"), ""
        seconds = self._seconds or time.monotonic() - self._begun
        step = self._steps[-1] if self._steps else ""
        return self._mark, self._board, Text(f"{seconds:.0f} s", style="dim"), step, Text(self._words, style="dim")

    def _close(self, mark: Text) -> None:
        self._mark = mark
        self._seconds = time.monotonic() - (self._begun or 0)
        self._steps.clear()

    def _print(self, text: str) -> None:
        self._console.print(f"[bold]{self._board}[/bold]  {text}", soft_wrap=True)


def render(rows: Collection[BoardRow]) -> TextTable:
    """Return the table of all rows in their current state."""
    table = TextTable()
    table.show_header, table.collapse_padding = False, True
    for column in range(5):
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1 if column == 4 else None)
    table.expand = True
    for row in rows:
        table.add_row(*row.cells())
    return table


def _error_text(event: Event) -> str:
    hint = event.data.get("hint")
    return f"error: {event.text}" + (f"\nhint: {hint}" if hint else "")
