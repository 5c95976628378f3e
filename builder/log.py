# SPDX-License-Identifier: MIT
"""Log of a run: steps, notes, progress, warnings. It goes to stderr; stdout is for results.

A step, a note or a line is an Event; a Sink shows events. There are three sinks: Console (rich, for a terminal), Plain
(lines, for a log file) and Json (one object a line, for a program). A build in a container reports to the process
outside in JSON. The only state is the sink in use, which `use` sets.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, TextIO

from rich.markup import escape
from rich.status import Status

from builder.text import SafeConsole, dump_json, make_visible

Kind = Literal["start", "end", "fail", "note", "warn", "line", "progress", "product", "result", "error"]


@dataclass(frozen=True)
class Event:
    """One entry of the log. `data` holds values for programs: seconds, fractions, results."""

    kind: Kind
    text: str
    data: dict[str, Any] = field(default_factory=dict)


class Sink(Protocol):
    """Shows events. Several threads may call it at once: each pipe of a running tool has its own reader."""

    def show(self, event: Event) -> None: ...


class Json:
    """Writes each event as one line of JSON, and flushes it at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, event: Event) -> None:
        self._stream.write(dump_json(asdict(event)) + "\n")
        self._stream.flush()


class Plain:
    """Writes indented lines without control characters, for CI logs and files."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._depth = 0

    def show(self, event: Event) -> None:
        if event.kind in ("end", "fail"):
            self._depth = max(0, self._depth - 1)
        text = _plain_text(event, verbose=self._verbose)
        if text:
            # One write: print() makes two, which can interleave.
            self._stream.write(make_visible("  " * self._depth + text) + "\n")
            self._stream.flush()
        if event.kind == "start":
            self._depth += 1


class Console:
    """Shows events on a terminal: finished steps stay; the running one is a spinner with its latest line."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._console = SafeConsole(stderr=True, highlight=False)
        self._verbose = verbose
        self._steps: list[str] = []
        self._status: Status | None = None
        self._lock = threading.Lock()

    def show(self, event: Event) -> None:
        with self._lock:
            self._show(event)

    def _show(self, event: Event) -> None:
        if event.kind == "start":
            self._steps.append(event.text)
        if event.kind in ("end", "fail") and self._steps:
            self._steps.pop()
        if event.kind in ("progress", "line") and not (self._verbose and event.kind == "line"):
            self._spin(last_words(event))
            return
        text = _rich_text(event)
        if text:
            self._console.print("  " * len(self._steps) + text)
        self._spin("")

    def _spin(self, last_words: str) -> None:
        if not self._steps:
            if self._status:
                self._status.stop()
                self._status = None
            return
        width = max(20, self._console.width - len(self._steps[-1]) - 12)
        label = f"{escape(self._steps[-1])}  [dim]{escape(last_words[:width])}[/dim]"
        if self._status is None:
            self._status = self._console.status(label)
            self._status.start()
        else:
            self._status.update(label)


def last_words(event: Event) -> str:
    """Return the text beside a running step."""
    if event.kind == "progress" and "fraction" in event.data:
        speed = f"{event.data['speed']}  " if "speed" in event.data else ""
        return f"{event.data['fraction']:4.0%} {speed}{event.text}"
    return event.text


def _plain_text(event: Event, *, verbose: bool) -> str:
    seconds = f"{event.data.get('seconds', 0):.1f} s"
    texts = {
        "start": f"{event.text} …",
        "end": f"{event.text}: done in {seconds}",
        "fail": f"{event.text}: failed after {seconds}",
        "warn": f"warning: {event.text}",
        "note": event.text,
        "line": f"| {event.text}" if verbose else "",
    }
    return texts.get(event.kind, "")


def _rich_text(event: Event) -> str:
    seconds = f"[dim]{event.data.get('seconds', 0):.1f} s[/dim]"
    text = escape(event.text)
    texts = {
        "end": f"[green]✓[/green] {text}  {seconds}",
        "fail": f"[red]✗[/red] {text}  {seconds}",
        "warn": f"[yellow]![/yellow] {text}",
        "note": f"[dim]·[/dim] {text}",
        "line": f"[dim]{text}[/dim]",
    }
    return texts.get(event.kind, "")


_sink: ContextVar[Sink | None] = ContextVar("sink", default=None)


@contextmanager
def use(sink: Sink) -> Iterator[None]:
    """Send all events of the `with` block to `sink`."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


def emit(event: Event) -> None:
    """Show one event; without a sink in use, as a plain line on stderr."""
    (_sink.get() or Plain(sys.stderr)).show(event)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Log the start of a step, and its duration when it ends or fails."""
    emit(Event("start", name))
    begun = time.monotonic()
    try:
        yield
    except BaseException:
        emit(Event("fail", name, {"seconds": time.monotonic() - begun}))
        raise
    emit(Event("end", name, {"seconds": time.monotonic() - begun}))


def note(text: str) -> None:
    """Log a fact that is useful to the user."""
    emit(Event("note", text))


def warn(text: str) -> None:
    """Log a problem that the user should look at; the work continues."""
    emit(Event("warn", text))


def line(text: str) -> None:
    """Log a line of a tool's output: the latest is shown beside the step; --verbose shows all."""
    emit(Event("line", text))


def progress(text: str, fraction: float, speed: str = "") -> None:
    """Show how far the running step is: `fraction` from 0 to 1, and `speed` such as "00:12 left at 120 MiB/s"."""
    emit(Event("progress", text, {"fraction": fraction, "speed": speed} if speed else {"fraction": fraction}))
