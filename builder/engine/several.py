# SPDX-License-Identifier: MIT
"""Build several boards in parallel: one child process for each, whose events are shown on one row.

The builder image, or this machine's tools, are made before the first build starts. A failed board does not stop the
others. ^C stops all builds, which release their resources. A second ^C kills their containers; none keeps running.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import IO

from builder import log
from builder.artefact.files import Artefact
from builder.choices import Engine
from builder.engine.docker.builder_image import make_builder_image
from builder.engine.docker.connect import choose_engine, engine_errors, open_engine
from builder.engine.docker.hand_out import read_announced
from builder.engine.events import EventStream
from builder.engine.local import install_tools
from builder.errors import BoardwrightError, Interrupted, RecipeError, ToolError
from builder.log import Event, Sink
from builder.request import BuildRequest
from builder.system.own_module import own_environment, own_module
from builder.system.process import Process, piped
from builder.system.signals import queued
from builder.units import GIB

BUILD_BYTES = 2 * GIB
"""Memory assumed per build."""
PIECE = 65536


@dataclass(frozen=True)
class BoardResult:
    """Result of one board: artefacts or an error."""

    board: str
    artefacts: tuple[Artefact, ...] = ()
    error: BoardwrightError | None = None


@dataclass(frozen=True)
class _Output:
    """A piece of output of a board's process; without stdout and stderr, the end of the process with `code`."""

    board: str
    stdout: bytes | None = None
    stderr: bytes | None = None
    code: int = 0

    @property
    def is_end(self) -> bool:
        return self.stdout is None and self.stderr is None


Pieces = SimpleQueue[_Output | signal.Signals]


def build_several(requests: Sequence[BuildRequest], *, jobs: int, row_of: Callable[[str], Sink]) -> list[BoardResult]:
    """Build boards, `jobs` in parallel (0: as cores and memory allow), and return the results in the same order.

    row_of  returns the sink for the events of a board, its result and its error

    Raises MachineError and others if nothing can be built, Interrupted if all were stopped.
    """
    requests, room = _prepare(requests)
    pieces: Pieces = SimpleQueue()
    with ExitStack() as stack:
        builds = _ParallelBuilds(pieces, stack, row_of)
        with queued(pieces.put):
            results = builds.work(requests, jobs or min(room, len(requests)))
    if builds.is_stopped:
        raise Interrupted("interrupted; all resources of the builds were released, except those named above")
    names = [request.board for request in requests]
    return sorted(results, key=lambda result: names.index(result.board))


def first_error(results: Sequence[BoardResult]) -> BoardwrightError | None:
    """Return one error for all failures, of the first failed board's class; None if all boards succeeded."""
    failed = [(result.board, result.error) for result in results if result.error]
    if not failed:
        return None
    kinds = ", ".join(f"{board} ({error.kind})" for board, error in failed)
    return type(failed[0][1])(f"{len(failed)} of {len(results)} boards failed: {kinds}", hint="see the errors above")


def _prepare(requests: Sequence[BuildRequest]) -> tuple[list[BuildRequest], int]:
    """Make the builder image or install the tools. Return the requests with the chosen engine, and the number of builds
    that may run in parallel."""
    chosen = choose_engine(requests[0].engine)
    if chosen is Engine.DOCKER:
        with open_engine() as api:
            make_builder_image(api)
            with engine_errors("asking for its size"):
                info = api.info()
        cores, memory = int(info["NCPU"]), int(info["MemTotal"])
    else:
        for request in requests:
            with suppress(RecipeError):  # The board's own process reports it.
                install_tools(request.make_plan())
        cores, memory = os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [request.model_copy(update={"engine": chosen}) for request in requests], max(
        1, min(cores, memory // BUILD_BYTES)
    )


class _ParallelBuilds:
    """The child processes of one call."""

    def __init__(self, pieces: Pieces, stack: ExitStack, row_of: Callable[[str], Sink]) -> None:
        self.is_stopped = False
        self._directory = Path(stack.enter_context(TemporaryDirectory(prefix="boardwright-")))
        self._pieces = pieces
        self._stack = stack
        self._versions: dict[str, str] = {}
        self._rows: dict[str, Sink] = {}
        self._row_of = row_of
        self._events: dict[str, EventStream] = {}
        self._running: dict[str, Process] = {}

    def work(self, requests: Sequence[BuildRequest], jobs: int) -> list[BoardResult]:
        """Build all and return the results, in the order in which the builds end."""
        waiting = list(requests)
        results: list[BoardResult] = []
        while True:
            while waiting and len(self._running) < jobs and not self.is_stopped:
                self._start(waiting.pop(0))
            if not self._running:
                return results
            piece = self._pieces.get()
            if isinstance(piece, signal.Signals):
                self._stop()
            elif piece.is_end:
                results.append(self._end(piece.board, piece.code))
            else:
                with log.use(self._rows[piece.board]):
                    self._events[piece.board].feed(piece.stdout, piece.stderr)

    def _start(self, request: BuildRequest) -> None:
        board, path = request.board, self._directory / f"{request.board}.json"
        self._versions[board] = request.version
        self._rows[board] = self._row_of(board)
        self._events[board] = EventStream("the build's process")
        path.write_bytes(request.render())
        process = self._stack.enter_context(piped(_argv(path), env={**os.environ, **own_environment()}))
        self._running[board] = process
        threading.Thread(target=_listen, args=(board, process, self._pieces), daemon=True).start()

    def _end(self, board: str, code: int) -> BoardResult:
        events = self._events[board]
        del self._running[board]
        with log.use(self._rows[board]):
            events.end()
            try:
                artefacts = _find_artefacts(events, code)
            except BoardwrightError as error:
                data = {"kind": error.kind, "hint": error.hint, "exit_code": error.exit_code}
                log.emit(Event("error", error.message, data))
                return BoardResult(board, error=error)
            log.emit(Event("result", f"{board} {self._versions[board]}", dict(events.result or {})))
        return BoardResult(board, artefacts)

    def _stop(self) -> None:
        log.note("stopping all builds" if self.is_stopped else "stopping all builds; ^C again kills containers")
        self.is_stopped = True
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)


def _find_artefacts(events: EventStream, code: int) -> tuple[Artefact, ...]:
    """Return the artefacts of a process; raise its error if it failed."""
    if code:
        raise events.failure(code, killed=f"was killed by {signal.Signals(-code).name}" if code < 0 else "")
    if events.result is None:
        raise ToolError("the build's process ended without a result", hint="this is a bug; please report it")
    return tuple(read_announced(events.result.get("artefacts")))


def _argv(request: Path) -> list[str]:
    return [*own_module("builder"), "run", str(request)]


def _listen(board: str, process: Process, pieces: Pieces) -> None:
    """Put the output of a process into the queue, then its exit code."""

    def pass_on(stream: IO[bytes] | None, make: Callable[[bytes], _Output]) -> None:
        while stream and (data := os.read(stream.fileno(), PIECE)):
            pieces.put(make(data))

    stderr_thread = threading.Thread(
        target=pass_on, args=(process.stderr, lambda data: _Output(board, stderr=data)), daemon=True
    )
    stderr_thread.start()
    pass_on(process.stdout, lambda data: _Output(board, stdout=data))
    stderr_thread.join()
    pieces.put(_Output(board, code=process.wait()))
