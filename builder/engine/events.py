# SPDX-License-Identifier: MIT
"""Decode the events of a build in a container or child process: one JSON event per line on stdout.

Any other line of stdout or stderr is output of a tool. Events are shown as if they had happened here, except three. The
result is kept, the error is raised again as the same class, and a finished image is passed on before its specs end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

from builder import log
from builder.errors import KINDS, BoardwrightError, ToolError
from builder.log import Event, Kind
from builder.system.files import load_json

LAST_LINES = 15
NUMBERS = ("seconds", "fraction")
LARGEST = 1e9
"""Upper limit for numbers in events."""


class EventStream:
    """Decoder for the output of one build, which arrives in pieces of any length."""

    def __init__(
        self,
        teller: str = "the build's container",
        *,
        on_product: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        self._teller, self._on_product = teller, on_product
        self.result: dict[str, Any] | None = None
        self._error: Event | None = None
        self._steps: list[str] = []
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._rests = {"stdout": b"", "stderr": b""}

    def feed(self, stdout: bytes | None, stderr: bytes | None) -> None:
        """Decode the next pieces of the two streams."""
        for name, piece in (("stdout", stdout), ("stderr", stderr)):
            *lines, self._rests[name] = (self._rests[name] + (piece or b"")).split(b"\n")
            for line in lines:
                self._hear_line(line.decode(errors="replace").rstrip("\r"))

    def end(self) -> None:
        """Decode a last line without newline, and close the steps that are still open."""
        self.feed(b"\n" if self._rests["stdout"] else None, b"\n" if self._rests["stderr"] else None)
        while self._steps:
            log.emit(Event("fail", self._steps.pop()))

    def failure(self, code: int, *, killed: str) -> BoardwrightError:
        """Return the error of a build that ended with `code`: the one that it reported, or a general one."""
        if self._error:
            data = self._error.data
            kind = KINDS.get(str(data.get("kind")), BoardwrightError)
            return kind(self._error.text, hint=str(data.get("hint") or ""))
        tail = "".join(f"\n  | {text}" for text in self._last)
        output = f"; its last lines:{tail}" if tail else " without any output"
        return ToolError(
            f"{self._teller} {killed or f'ended with exit code {code}'}{output}",
            hint="build again with --verbose, or inspect the rootfs with `boardwright shell`",
        )

    def _hear_line(self, text: str) -> None:
        event = _load_event(text)
        if event is None:
            if text:
                self._last.append(text)
                log.line(text)
        elif event.kind == "result":
            self.result = event.data
        elif event.kind == "error":
            self._error = event
        elif event.kind == "product":
            self._on_product(event.data)
        else:
            self._follow(event)
            log.emit(event)

    def _follow(self, event: Event) -> None:
        if event.kind == "start":
            self._steps.append(event.text)
        elif event.kind in ("end", "fail") and self._steps:
            self._steps.pop()
        elif event.kind == "line":
            self._last.append(event.text)


def _load_event(text: str) -> Event | None:
    if not text.startswith('{"kind"'):
        return None
    try:
        row = load_json(text)
        event = Event(row["kind"], row["text"], dict(row["data"]))
    except (ValueError, KeyError, TypeError):
        return None  # JSON of a tool: an ordinary line.
    numbers = [event.data[name] for name in NUMBERS if name in event.data]
    is_sound = event.kind in get_args(Kind) and isinstance(event.text, str) and all(map(_is_number, numbers))
    return event if is_sound else None


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and 0 <= cast(float, value) <= LARGEST
