# SPDX-License-Identifier: MIT
"""One CLI invocation: logging, signals, printing of results and errors."""

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
def cli_session(*, json: bool = False, events: bool | None = None, verbose: bool = False) -> Iterator[None]:
    """Set up logging and signals for one command. SIGINT, SIGTERM and SIGHUP end the work in order.

    json    a program reads the output: an error is printed to stdout as a JSON event
    events  the log goes to stdout as JSON events too; as `json` says if None
    """
    try:
        with log.use(_choose_sink(events=json if events is None else events, verbose=verbose)), _ended_by_signals():
            try:
                yield
            except KeyboardInterrupt as interrupt:
                raise _interrupted(interrupt) from None
    except BoardwrightError as error:
        show_error(error, json=json)
        error.is_shown = True
        raise


def _interrupted(interrupt: KeyboardInterrupt) -> Interrupted:
    """Return the error for an interrupt. A resource that could not be released has left a note on it."""
    notes = getattr(interrupt, "__notes__", ())
    if not notes:
        return Interrupted("interrupted; everything that was held is given back")
    error = Interrupted("interrupted, and not everything could be given back", hint="boardwright doctor --fix")
    for note in notes:
        error.add_note(note)
    return error


def _choose_sink(*, events: bool, verbose: bool) -> log.Sink:
    if events:
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


def show_error(error: BoardwrightError, *, json: bool = False) -> None:
    """Print what went wrong and what to do next: for a program as an event on stdout, for a person on stderr."""
    if json and sys.stdout is not None:
        data = {"kind": error.kind, "hint": error.hint, "exit_code": error.exit_code}
        log.Json(sys.stdout).show(log.Event("error", error.message, data))
        return
    console = SafeConsole(stderr=True, highlight=False)
    console.print(f"[red]error:[/red] {escape(error.message)}", soft_wrap=True)
    for remark in getattr(error, "__notes__", ()):
        console.print(escape(remark), soft_wrap=True)
    if error.hint:
        console.print(f"[dim]hint:[/dim] {escape(error.hint)}", soft_wrap=True)
