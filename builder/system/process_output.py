# SPDX-License-Identifier: MIT
"""Read the output of a process in threads, until its end."""

from __future__ import annotations

import contextvars
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, TextIO

from builder import log
from builder.errors import ToolError

OUTPUT_BYTES = 128 * 1024 * 1024
"""Limit of a program's output: its input, or the program itself, may be untrusted."""
LINE_BYTES = 1024 * 1024
LINGER_S = 5.0
"""Wait for other writers of the output after the program has ended."""


class OutputReader:
    """Collects a stream in a thread, line by line, so that neither pipe of a process can fill up and block it.

    If logging fails (disk full), it goes on reading and raises the error at the end. A program that prints more than
    OUTPUT_BYTES is stopped. The thread closes the stream: another thread would wait for all processes that hold the
    other end.
    """

    def __init__(self, stream: IO[bytes] | None, log_stream: TextIO | None, name: str, end: Callable[[], None]) -> None:
        self._output = io.StringIO()
        self._name, self._end = name, end
        self._problem: Exception | None = None
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._collect, stream, log_stream), daemon=True
        )
        self._thread.start()

    def _collect(self, stream: IO[bytes] | None, log_stream: TextIO | None) -> None:
        if stream is None:
            return
        size = 0
        with stream:
            while raw := stream.readline(LINE_BYTES):
                size += len(raw)
                if size > OUTPUT_BYTES:
                    self._refuse()
                    continue
                text = raw.decode(errors="replace")
                self._output.write(text)
                if log_stream and not self._problem:
                    self._tell(text, log_stream)

    def _refuse(self) -> None:
        if not isinstance(self._problem, ToolError):
            name = Path(self._name).name
            hint = "check its input"
            self._problem = ToolError(f"{name} printed more than {OUTPUT_BYTES >> 20} MiB and was stopped", hint=hint)
            self._end()

    def _tell(self, text: str, log_stream: TextIO) -> None:
        try:
            log_stream.write(text)
            log.line(text.rstrip())
        except (OSError, ValueError) as error:  # ValueError: closed, when a reader outlives its process.
            self._problem = error

    def has_ended(self) -> bool:
        self._thread.join(LINGER_S)  # A process that left the group (a daemon) may hold the pipe for ever.
        return not self._thread.is_alive()

    def text(self) -> str:
        self.has_ended()
        if self._problem:
            raise self._problem
        return self._output.getvalue()
