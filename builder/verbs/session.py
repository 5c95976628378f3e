# SPDX-License-Identifier: MIT
"""One call of the command line: where its story goes, how signals end it, how its results and its error are said."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import RenderableType
from rich.markup import escape

from builder import log
from builder.errors import BoardwrightError, Interrupted
from builder.system.signals import ENDING, find_ending, handled, leave_terminal, never_lost
from builder.text import SafeConsole, dump_json, make_visible


@contextmanager
def telling(*, json: bool, verbose: bool = False) -> Iterator[None]:
    """Show the story where it belongs; SIGINT, SIGTERM and SIGHUP end the work in order."""
    with log.use(_choose_sink(json=json, verbose=verbose)), _ended_by_signals():
        try:
            yield
        except KeyboardInterrupt as interrupt:
            raise _interrupted(interrupt) from None


def _interrupted(interrupt: KeyboardInterrupt) -> Interrupted:
    """Say what became of what was held: a release that failed has left a note on the interrupt."""
    notes = getattr(interrupt, "__notes__", ())
    if not notes:
        return Interrupted("interrupted; everything that was held is given back")
    error = Interrupted("interrupted, and not everything could be given back", hint="boardwright doctor --fix")
    for note in notes:
        error.add_note(note)
    return error


def _choose_sink(*, json: bool, verbose: bool) -> log.Sink:
    if json:
        return log.Json(sys.stdout)
    return log.Console(verbose=verbose) if sys.stderr.isatty() else log.Plain(sys.stderr, verbose=verbose)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    def end(number: int, _: FrameType | None) -> None:
        # A second signal must not cut the giving back short.
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)
        leave_terminal(number)
        raise KeyboardInterrupt

    numbers = find_ending()

    def arm() -> None:
        for number in numbers:
            signal.signal(number, end)

    with handled(end, numbers), never_lost(arm):
        yield


def print_line(text: str) -> None:
    """Print a result for people or a program that reads lines; at once, because a reader may wait for it."""
    sys.stdout.write(f"{make_visible(text)}\n")
    sys.stdout.flush()


def print_json(value: Any, *, indent: int | None = None) -> None:
    """Print a result for a program."""
    print_line(dump_json(value, indent=indent))


def print_table(table: RenderableType) -> None:
    """Print a result to the width of the terminal; into a file or a pipe, as wide as the table wants to be."""
    SafeConsole(width=None if sys.stdout.isatty() else 200).print(table)


def show_error(error: BoardwrightError) -> None:
    """Say what went wrong and what to do next: to a program as an event on stdout, to a person on stderr."""
    if "--json" in sys.argv and sys.stdout is not None:
        data = {"kind": error.kind, "hint": error.hint, "exit_code": error.exit_code}
        log.Json(sys.stdout).show(log.Event("error", error.message, data))
        return
    console = SafeConsole(stderr=True, highlight=False)
    console.print(f"[red]error:[/red] {escape(error.message)}", soft_wrap=True)
    for remark in getattr(error, "__notes__", ()):
        console.print(escape(remark), soft_wrap=True)
    if error.hint:
        console.print(f"[dim]hint:[/dim] {escape(error.hint)}", soft_wrap=True)
