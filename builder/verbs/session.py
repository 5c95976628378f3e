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
    """Set up logging and signals for one command. On SIGINT, SIGTERM and SIGHUP all resources are released.

    json    print an error to stdout as a JSON event, for a program
    events  also print the log to stdout as JSON events; None: the value of `json`
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
    """Return the error for an interrupt. Its notes name resources that could not be released."""
    notes = getattr(interrupt, "__notes__", ())
    if not notes:
        return Interrupted("interrupted; all resources were released")
    error = Interrupted("interrupted; some resources could not be released", hint="boardwright doctor --fix")
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
        # A second signal must not interrupt the release of resources.
        for ending in ENDING:
            signal.signal(ending, signal.SIG_IGN)
        leave_terminal(number)
        raise KeyboardInterrupt

    numbers = find_ending()

    def arm() -> None:
        for number in numbers:
            signal.signal(number, end)

    with handled(end, numbers), never_lost(arm):
        yield


def print_line(text: str) -> None:
    """Print one line of a result; flush, because a reader may wait for it."""
    sys.stdout.write(f"{make_visible(text)}\n")
    sys.stdout.flush()


def print_json(value: Any, *, indent: int | None = None) -> None:
    """Print a result as JSON, for a program."""
    print_line(dump_json(value, indent=indent))


def print_table(table: RenderableType) -> None:
    """Print a table in the width of the terminal, or up to 200 columns into a file or a pipe."""
    SafeConsole(width=None if sys.stdout.isatty() else 200).print(table)


def show_error(error: BoardwrightError, *, json: bool = False) -> None:
    """Print an error with its hint: as a JSON event on stdout for a program, else as text on stderr."""
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
