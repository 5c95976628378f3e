# SPDX-License-Identifier: MIT
"""Follow a program in a container: show its output, stop it on ^C, raise its error."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from docker import APIClient
from docker.errors import DockerException, NotFound

from builder import log
from builder.engine.docker.connect import engine_errors
from builder.engine.events import EventStream
from builder.errors import Interrupted
from builder.system.signals import queued

STOP_S = 30
"""Time that a build may take to release its resources before it is killed."""

Pieces = SimpleQueue[tuple[bytes | None, bytes | None] | signal.Signals | None]
"""Pieces of stdout and stderr, in order; a signal that this process received; None at the end."""


@contextmanager
def listen_to_program(api: APIClient, name: str, argv: Sequence[str]) -> Iterator[tuple[Pieces, Callable[[], int]]]:
    """Run another program in a running container; yield its output, and a function that returns its exit code."""
    with engine_errors("starting a program in the container"):
        exec_id = api.exec_create(name, list(argv))["Id"]
        pieces = _read(api.exec_start(exec_id, stream=True, demux=True))
        yield pieces, lambda: int(api.exec_inspect(exec_id)["ExitCode"])


def listen(api: APIClient, name: str) -> Pieces:
    """Attach to a container before it starts, so that no output is lost."""
    return _read(api.attach(name, stream=True, demux=True))


def _read(stream: Iterable[tuple[bytes | None, bytes | None]]) -> Pieces:
    """Read the stream in a thread; the main thread waits on a queue, so that ^C can interrupt it."""
    pieces: Pieces = SimpleQueue()

    def pass_on() -> None:
        try:
            for piece in stream:
                pieces.put(piece)
        except (DockerException, OSError):
            pass  # The connection broke; the request for the exit code shows why.
        finally:
            pieces.put(None)

    threading.Thread(target=pass_on, daemon=True).start()
    return pieces


def follow(
    api: APIClient,
    name: str,
    pieces: Pieces,
    *,
    what: str = "build",
    on_product: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> EventStream:
    """Show the events of `what` to its end; raise Interrupted if it was stopped from here.

    on_product  called with the row of a finished image, before its specs end
    """
    events, interrupts = EventStream(f"the {what}'s container", on_product=on_product), 0
    with queued(pieces.put):
        while piece := pieces.get():
            if isinstance(piece, tuple):
                events.feed(*piece)
            else:
                interrupts += 1
                _stop(api, name, what, kill=interrupts > 1)
    events.end()
    if interrupts:
        raise Interrupted("stopped; the container is removed")
    return events


def _stop(api: APIClient, name: str, what: str, *, kill: bool) -> None:
    """Stop a container from a thread, so that its last output is still shown."""
    log.note(f"killing the {what}" if kill else f"stopping the {what}; ^C again kills it")

    def stop() -> None:
        try:
            if kill:
                api.kill(name)
            else:
                api.stop(name, timeout=STOP_S)
        except DockerException:
            return  # It has ended by itself.

    threading.Thread(target=stop, daemon=True).start()


def check_end(api: APIClient, name: str, events: EventStream) -> None:
    """Raise the error of a command that failed."""
    with engine_errors("asking how the command in the container ended"):
        try:
            code = int(api.wait(name)["StatusCode"])
            out_of_memory = bool(api.inspect_container(name)["State"].get("OOMKilled"))
        except NotFound:
            raise events.failure(137, killed="was removed by another program") from None
    if code:
        killed = "was killed" if code == 137 else ""
        raise events.failure(code, killed="ran out of memory" if out_of_memory else killed)
