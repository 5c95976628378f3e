# SPDX-License-Identifier: MIT
"""The output of a program in a container while it runs, how ^C stops it, and how it ended."""

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
from builder.engine.events import Story
from builder.errors import Interrupted
from builder.system.signals import queued

STOP_S = 30
"""How long a build may take to give back what it holds before it is killed."""

Pieces = SimpleQueue[tuple[bytes | None, bytes | None] | signal.Signals | None]
"""What was said on stdout and stderr, in order; a signal where this process was asked to stop; None at the end."""


@contextmanager
def listen_to_program(api: APIClient, name: str, argv: Sequence[str]) -> Iterator[tuple[Pieces, Callable[[], int]]]:
    """Run one more program in a running container; yield what it says, and what asks for its exit code afterwards."""
    with engine_errors("starting a program in the container"):
        made = api.exec_create(name, list(argv))["Id"]
        pieces = _read(api.exec_start(made, stream=True, demux=True))
        yield pieces, lambda: int(api.exec_inspect(made)["ExitCode"])


def listen(api: APIClient, name: str) -> Pieces:
    """Attach before the container starts, so that no word is lost."""
    return _read(api.attach(name, stream=True, demux=True))


def _read(stream: Iterable[tuple[bytes | None, bytes | None]]) -> Pieces:
    """Read in a thread, so that ^C reaches a main thread that waits on a queue."""
    pieces: Pieces = SimpleQueue()

    def pass_on() -> None:
        try:
            for piece in stream:
                pieces.put(piece)
        except (DockerException, OSError):
            pass  # The connection broke; asking for the exit code tells why.
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
) -> Story:
    """Show the story of `what` to its end; raise Interrupted if it was stopped from here.

    on_product  called with the row of an image that is finished, but for its specs
    """
    story, interrupts = Story(f"the {what}'s container", on_product=on_product), 0
    with queued(pieces.put):
        while piece := pieces.get():
            if isinstance(piece, tuple):
                story.hear(*piece)
            else:
                interrupts += 1
                _stop(api, name, what, kill=interrupts > 1)
    story.end()
    if interrupts:
        raise Interrupted("stopped; the container is gone")
    return story


def _stop(api: APIClient, name: str, what: str, *, kill: bool) -> None:
    """Stop it from a thread, so that what it says while it stops is still shown."""
    log.note(f"killing the {what}" if kill else f"stopping the {what}; ^C again kills it")

    def stop() -> None:
        try:
            if kill:
                api.kill(name)
            else:
                api.stop(name, timeout=STOP_S)
        except DockerException:
            return  # It ended by itself meanwhile.

    threading.Thread(target=stop, daemon=True).start()


def check_end(api: APIClient, name: str, story: Story) -> None:
    """Raise the error of a command that did not end well."""
    with engine_errors("asking how the command in the container ended"):
        try:
            code = int(api.wait(name)["StatusCode"])
            out_of_memory = bool(api.inspect_container(name)["State"].get("OOMKilled"))
        except NotFound:
            raise story.failure(137, killed="was removed by somebody else") from None
    if code:
        killed = "was killed" if code == 137 else ""
        raise story.failure(code, killed="ran out of memory" if out_of_memory else killed)
