# SPDX-License-Identifier: MIT
"""Connect a program in a container to this terminal, for example a shell in the rootfs of a board's last build.

With a terminal on both sides, bytes pass unchanged and the container follows the size of the terminal. Without one,
stdin is piped in, and stdout and stderr stay separate, so that scripts work too. The terminal's mode is restored.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError
from docker.utils.socket import frames_iter

from builder.engine.docker.builder_image import make_builder_image
from builder.engine.docker.connect import engine_errors, open_engine
from builder.engine.docker.container import STATE, VOLUME, Job, create, give_back_leftovers, make_job, releasers
from builder.engine.docker.transfer import BOARDS, put_inputs
from builder.system.own_module import MODULE
from builder.system.signals import handled
from builder.system.workspace import open_journal

STDIN, STDOUT, STDERR = 0, 1, 2


def open_shell(board: str, *, boards: Path, state: Path, options: tuple[str, ...] = (), volume: str = VOLUME) -> int:
    """Run `boardwright shell` in a container and return its exit code; `options` are passed to it.

    Raises MachineError (no Engine) and ToolError (the container cannot be started).
    """
    verb = ("python3", *MODULE, "builder", "shell", board, "--engine", "local")
    argv = (*verb, "--boards", BOARDS, "--state", STATE, *options)
    with open_engine() as api:
        image = make_builder_image(api)
        give_back_leftovers(api, state)
        with open_journal(state, board, releasers(api)) as journal:
            job = make_job(image, board, argv, journal.path, volume=volume)
            job = replace(job, stdin=True, tty=is_terminal(), loop=False, environment=_terminal_environment())
            with journal.holding("container", job.name):
                return _talk(api, job, boards)


def _talk(api: APIClient, job: Job, boards: Path) -> int:
    create(api, job)
    put_inputs(api, job.name, {BOARDS: boards})
    with engine_errors("talking to the container"):
        stream = api.attach_socket(job.name, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        start = partial(api.start, job.name)
        _join(stream, tty=job.tty, start=start, resize=partial(api.resize, job.name))
        return int(api.wait(job.name)["StatusCode"])


def run_attached(api: APIClient, container: str, argv: Sequence[str]) -> int:
    """Run another program in a running container, connected to this terminal, and return its exit code."""
    tty = is_terminal()
    with engine_errors("talking to the container"):
        exec_id = api.exec_create(container, list(argv), stdin=True, tty=tty)["Id"]
        stream = api.exec_start(exec_id, tty=tty, socket=True)
        _join(stream, tty=tty, start=lambda: None, resize=partial(api.exec_resize, exec_id))
        return int(api.exec_inspect(exec_id)["ExitCode"])


def _join(stream: Any, *, tty: bool, start: Callable[[], Any], resize: Callable[..., Any]) -> None:
    """Copy input and output between this terminal and the program until it ends.

    start   starts the program, if it was not started before the connection
    resize  sets the size of its terminal, as `height` and `width`
    """

    def follow_size() -> None:
        if tty:
            size = os.get_terminal_size(STDOUT)  # Not shutil's, which reads $COLUMNS, and that never changes.
            with suppress(APIError):  # The program has ended already.
                resize(height=size.lines, width=size.columns)

    connection: socket.socket = getattr(stream, "_sock", stream)
    connection.settimeout(None)
    with connection, _raw_terminal(tty), _following_size(follow_size), _feeding(connection):
        start()
        follow_size()
        for number, data in frames_iter(connection, tty):  # type: ignore[no-untyped-call]
            _write(STDERR if number == STDERR else STDOUT, data)


def is_terminal() -> bool:
    """Return whether stdin and stdout are terminals."""
    return os.isatty(STDIN) and os.isatty(STDOUT)


def _terminal_environment() -> dict[str, str]:
    return {"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}


def _write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


@contextmanager
def _raw_terminal(is_terminal: bool) -> Iterator[None]:
    if not is_terminal:
        yield
        return
    sys.stdout.flush()
    before = termios.tcgetattr(STDIN)
    tty.setraw(STDIN)
    try:
        yield
    finally:
        termios.tcsetattr(STDIN, termios.TCSADRAIN, before)


@contextmanager
def _following_size(resize: Callable[[], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with handled(lambda *_: resize(), [signal.SIGWINCH]):
        yield


@contextmanager
def _feeding(connection: socket.socket) -> Iterator[None]:
    """Copy stdin in a thread that ends with the block, so that later input is not lost."""
    wake, close = os.pipe()
    thread = threading.Thread(target=_feed, args=(connection, wake), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(close)
        thread.join()
        os.close(wake)


def _feed(connection: socket.socket, wake: int) -> None:
    with suppress(OSError):  # The other side closed the connection; the main thread sees that too.
        while wake not in select.select([STDIN, wake], [], [])[0]:
            data = os.read(STDIN, 65536)
            if not data:
                connection.shutdown(socket.SHUT_WR)
                return
            connection.sendall(data)
