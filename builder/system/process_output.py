# SPDX-License-Identifier: MIT
"""What a process prints, read beside it until its end."""

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
"""Most that a program may print: it may read what a stranger made, or be a stranger's."""
LINE_BYTES = 1024 * 1024
LINGER_S = 5.0
"""How long a program that has ended may leave somebody else writing into its output."""


class Reader:
    """Collects a stream in a thread, line by line, so that neither pipe of a process can fill up and block it.

    It goes on reading when telling fails (log on a full disk), and says so at the end. A program that prints more than
    is kept is ended. The thread closes the stream: closing it from outside would wait for whoever still holds its
    other end.
    """

    def __init__(self, stream: IO[bytes] | None, story: TextIO | None, name: str, end: Callable[[], None]) -> None:
        self._output = io.StringIO()
        self._name, self._end = name, end
        self._problem: Exception | None = None
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._collect, stream, story), daemon=True
        )
        self._thread.start()

    def _collect(self, stream: IO[bytes] | None, story: TextIO | None) -> None:
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
                if story and not self._problem:
                    self._tell(text, story)

    def _refuse(self) -> None:
        if not isinstance(self._problem, ToolError):
            name = Path(self._name).name
            hint = "check its input"
            self._problem = ToolError(f"{name} printed more than {OUTPUT_BYTES >> 20} MiB and was stopped", hint=hint)
            self._end()

    def _tell(self, text: str, story: TextIO) -> None:
        try:
            story.write(text)
            log.line(text.rstrip())
        except (OSError, ValueError) as error:  # ValueError: closed, when a reader outlives its process.
            self._problem = error

    def has_ended(self) -> bool:
        self._thread.join(LINGER_S)  # Who left the process group (a daemon) may hold the pipe for ever.
        return not self._thread.is_alive()

    def text(self) -> str:
        self.has_ended()
        if self._problem:
            raise self._problem
        return self._output.getvalue()
