# SPDX-License-Identifier: MIT
"""Several boards at once: one process a board, each the same command line as for one, its story told on a row here.

What they share is made before the first starts: the builder image, or this machine's tools. A board that fails does
not stop the others. ^C asks all of them to stop, which gives back what they hold, and a second ^C asks once more,
which kills containers; none is left running.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from builder import log
from builder.artefact.files import Artefact
from builder.engine.dispatch import render_options
from builder.engine.docker.builder_image import make_builder_image
from builder.engine.docker.connect import Wanted, choose_engine, engine_errors, open_engine
from builder.engine.docker.hand_out import read_announced
from builder.engine.events import Story
from builder.engine.local import install_tools
from builder.errors import BoardwrightError, Interrupted, RecipeError, ToolError
from builder.log import Event, Sink
from builder.pipeline import Choices
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.system.own_module import own_environment, own_module
from builder.system.process import Process, piped
from builder.system.signals import queued
from builder.units import GIB

BUILD_BYTES = 2 * GIB
"""Memory that a build is reckoned with."""
PIECE = 65536


@dataclass(frozen=True)
class Order:
    """What each board is built with."""

    boards: Path
    version: str
    epoch: int
    user_data: Path | None
    choices: Choices
    engine: Wanted = "auto"

    def plan(self, name: str) -> Plan:
        """Return what is decided for a board; RecipeError with all that is wrong with it."""
        board = load_board(self.boards, name)
        return make_plan(board, version=self.version, epoch=self.epoch, user_data=self.user_data)


@dataclass(frozen=True)
class Ended:
    """A board and what became of it: artefacts, or an error."""

    board: str
    artefacts: tuple[Artefact, ...] = ()
    error: BoardwrightError | None = None


@dataclass(frozen=True)
class _Said:
    """A piece of what a board's process says; without both, it has ended with `code`."""

    board: str
    stdout: bytes | None = None
    stderr: bytes | None = None
    code: int = 0

    @property
    def is_end(self) -> bool:
        return self.stdout is None and self.stderr is None


Pieces = SimpleQueue[_Said | signal.Signals]


def build_several(names: Sequence[str], order: Order, *, jobs: int, row_of: Callable[[str], Sink]) -> list[Ended]:
    """Build boards, `jobs` at once (0: as many as the machine is good for), and return how each ended, in order.

    row_of  where the story of a board is told; its result and its error too

    Raises MachineError and others where nothing can be built at all, Interrupted when all were stopped.
    """
    order, room = _prepare(names, order)
    pieces: Pieces = SimpleQueue()
    with ExitStack() as stack:
        crew = _Crew(order, pieces, stack, row_of)
        with queued(pieces.put):
            ended = crew.work(names, jobs or min(room, len(names)))
    if crew.is_stopped:
        raise Interrupted("interrupted; what the boards held is given back, but for what was said above")
    return sorted(ended, key=lambda each: names.index(each.board))


def first_error(ended: Sequence[Ended]) -> BoardwrightError | None:
    """Return an error that stands for all failures, of the kind of the first board's; None where all is built."""
    failed = [(each.board, each.error) for each in ended if each.error]
    if not failed:
        return None
    said = ", ".join(f"{board} ({error.kind})" for board, error in failed)
    return type(failed[0][1])(f"{len(failed)} of {len(ended)} boards failed: {said}", hint="what failed is said above")


def _prepare(names: Sequence[str], order: Order) -> tuple[Order, int]:
    """Make what all boards need; return the order for a place that is sure, and how many boards that is good for."""
    chosen = choose_engine(order.engine)
    if chosen == "docker":
        with open_engine() as api:
            make_builder_image(api)
            with engine_errors("asking for its size"):
                info = api.info()
        cores, memory = int(info["NCPU"]), int(info["MemTotal"])
    else:
        for name in names:
            with suppress(RecipeError):  # The board itself will say it.
                install_tools(order.plan(name))
        cores, memory = os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return replace(order, engine=chosen), max(1, min(cores, memory // BUILD_BYTES))


class _Crew:
    """The processes of one call."""

    def __init__(self, order: Order, pieces: Pieces, stack: ExitStack, row_of: Callable[[str], Sink]) -> None:
        self.is_stopped = False
        self._order = order
        self._pieces = pieces
        self._stack = stack
        self._rows: dict[str, Sink] = {}
        self._row_of = row_of
        self._stories: dict[str, Story] = {}
        self._running: dict[str, Process] = {}

    def work(self, names: Sequence[str], jobs: int) -> list[Ended]:
        """Build all, and return how they ended, the first to end first."""
        waiting = list(names)
        ended: list[Ended] = []
        while True:
            while waiting and len(self._running) < jobs and not self.is_stopped:
                self._start(waiting.pop(0))
            if not self._running:
                return ended
            piece = self._pieces.get()
            if isinstance(piece, signal.Signals):
                self._stop()
            elif piece.is_end:
                ended.append(self._end(piece.board, piece.code))
            else:
                with log.use(self._rows[piece.board]):
                    self._stories[piece.board].hear(piece.stdout, piece.stderr)

    def _start(self, board: str) -> None:
        self._rows[board] = self._row_of(board)
        self._stories[board] = Story("the build's process")
        process = self._stack.enter_context(piped(_argv(board, self._order), env={**os.environ, **own_environment()}))
        self._running[board] = process
        threading.Thread(target=_listen, args=(board, process, self._pieces), daemon=True).start()

    def _end(self, board: str, code: int) -> Ended:
        story = self._stories[board]
        del self._running[board]
        with log.use(self._rows[board]):
            story.end()
            try:
                artefacts = _find_artefacts(story, code)
            except BoardwrightError as error:
                data = {"kind": error.kind, "hint": error.hint, "exit_code": error.exit_code}
                log.emit(Event("error", error.message, data))
                return Ended(board, error=error)
            log.emit(Event("result", f"{board} {self._order.version}", dict(story.result or {})))
        return Ended(board, artefacts)

    def _stop(self) -> None:
        log.note("stopping all builds" if self.is_stopped else "stopping all builds; ^C again kills containers")
        self.is_stopped = True
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)


def _find_artefacts(story: Story, code: int) -> tuple[Artefact, ...]:
    """Return what a process made; raise the error of one that did not end well."""
    if code:
        raise story.failure(code, killed=f"was killed by {signal.Signals(-code).name}" if code < 0 else "")
    if story.result is None:
        raise ToolError("the build's process ended without a result", hint="this is a bug; please report it")
    return tuple(read_announced(story.result.get("artefacts")))


def _argv(board: str, order: Order) -> list[str]:
    choices, shared = order.choices, order.choices.shared
    mode = "rw" if shared is None or shared.writable else "ro"
    return [
        *(*own_module("builder"), "build", board),
        *("--json", "--engine", order.engine),
        *("--boards", str(order.boards), "--state", str(choices.state), "--output", str(choices.output)),
        *(("--user-data", str(order.user_data)) if order.user_data else ()),
        *render_options(order.version, order.epoch, choices),
        # Also where there is none: what the environment says has been decided already.
        *("--cache", shared.url if shared else "", "--cache-mode", mode),
    ]


def _listen(board: str, process: Process, pieces: Pieces) -> None:
    """Pass on what a process says, and how it ended once all is said."""

    def pass_on(stream: IO[bytes] | None, make: Callable[[bytes], _Said]) -> None:
        while stream and (data := os.read(stream.fileno(), PIECE)):
            pieces.put(make(data))

    aside = threading.Thread(target=pass_on, args=(process.stderr, lambda data: _Said(board, stderr=data)), daemon=True)
    aside.start()
    pass_on(process.stdout, lambda data: _Said(board, stdout=data))
    aside.join()
    pieces.put(_Said(board, code=process.wait()))
