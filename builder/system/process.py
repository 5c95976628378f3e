# SPDX-License-Identifier: MIT
"""Start processes; no other module does.

A process gets an argument list (never a shell) and a small environment with LC_ALL=C.UTF-8 and TZ=UTC. It has its own
session: ^C in the terminal reaches only us, and we end our children in order. It dies with us even on SIGKILL, by a
parent-death signal (setpriv of util-linux, if installed). If we died before that was set, it does not begin. Background
programs and programs on our terminal have a watchdog too, because some lose the signal.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TextIO

from builder.errors import DISK_FULL_HINT, SpaceError, ToolError, disk_full_as_space_error
from builder.system.process_output import OutputReader
from builder.system.proxy import find_proxies
from builder.system.signals import handled, held_off
from builder.system.tools import find_tool, has_tool, search_path

Process = subprocess.Popen[bytes]

PASSED_ON = ("PATH", "HOME", "TERM", "TMPDIR", "SSL_CERT_FILE")
LAST_LINES = 15
END_TIMEOUT_S = 20.0
"""Time for a program to clean up after SIGTERM."""
UNLESS_ORPHANED = '[ "$PPID" = "$0" ] || exit 1; unset PWD OLDPWD SHLVL; exec "$@"'
"""The second half of the guard: do not start if the parent died before its death signal was set.

The shell gets the pid of the parent as $0. The variables that the shell adds to the environment are removed again.
"""
KILL_AT_END = 'read -r pid && { read -r _; kill -s KILL "$pid"; }'
"""The watchdog's script: read a pid, wait for the end of the pipe, kill the pid."""


@dataclass(frozen=True)
class Result:
    """Exit code and output of a process (text, undecodable bytes replaced)."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    ok: Collection[int] = (0,),
    log_file: Path | None = None,
    timeout_s: float | None = None,
    name: str | None = None,
) -> Result:
    """Run a program to its end and return its output.

    argv      program and arguments
    env       added to the reduced environment
    stdin     bytes or an open file; default /dev/null
    stdout    an open file for the output, instead of the Result
    ok        accepted exit codes; any other is a ToolError with the last lines of output
    name      name in messages, if argv[0] is only a wrapper
    log_file  every line of output is appended there, and passed to the running step

    Raises MachineError (no such program), SpaceError (disk full in the program), ToolError (failure or timeout).
    """
    command = [find_tool(str(argv[0])), *map(str, argv[1:])]
    with (
        disk_full_as_space_error(log_file),
        _open_log(log_file, command) as log_stream,
        _started(command, env=env, cwd=cwd, stdin=stdin, stdout=stdout) as process,
    ):
        end = partial(_signal_group, process, signal.SIGKILL)
        out, err = (OutputReader(stream, log_stream, command[0], end) for stream in (process.stdout, process.stderr))
        try:
            code = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise ToolError(f"{argv[0]} was still running after {timeout_s:g} s", hint=_repeat(command)) from None
        if not (out.has_ended() and err.has_ended()):
            # A background process holds a pipe open: without this we would wait until it ends.
            _signal_group(process, signal.SIGKILL)
        result = Result(tuple(command), code, out.text(), err.text())
    if code not in ok:
        raise failure(result, log_file, name=name)
    return result


def attach(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> int:
    """Run a program on our own terminal and return its exit code; ^C reaches only the program."""
    command = [find_tool(str(argv[0])), *map(str, argv[1:])]
    with (
        handled(signal.SIG_IGN, [signal.SIGINT]),
        _watchdog() as watch,
        subprocess.Popen([*_guard(), *command], env=_environment(env)) as process,
    ):
        try:
            watch(process.pid)
            return process.wait()
        except BaseException:
            process.kill()
            raise


@contextmanager
def running(argv: Sequence[str | Path], *, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a background program with its output in the file `output`; stop it at the end of the block."""
    command = [find_tool(str(argv[0])), *map(str, argv[1:])]
    with (
        output.open("ab") as stream,
        _watchdog() as watch,
        _started(command, env=None, cwd=None, stdin=None, stdout=stream, stderr=stream) as process,
    ):
        watch(process.pid)
        yield process


@contextmanager
def _watchdog() -> Iterator[Callable[[int], None]]:
    """Start a process that kills another when we die; yield a function that takes the pid of that one.

    A program that changes its user loses its parent-death signal (prctl(2)), as QEMU does once it has opened its files.
    The watchdog needs no such signal: it reads from a pipe, which the kernel closes when we end in any way.
    """
    read, write = os.pipe()
    process = None
    try:
        with held_off():
            process = subprocess.Popen(
                [find_tool("sh"), "-c", KILL_AT_END],
                env=_environment(None),
                stdin=read,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        yield lambda pid: _write_line(write, str(pid))
    finally:
        if process:
            process.kill()
            process.wait()
        os.close(read)
        os.close(write)


def _write_line(handle: int, text: str) -> None:
    os.write(handle, f"{text}\n".encode())


@contextmanager
def piped(argv: Sequence[str | Path], *, env: Mapping[str, str]) -> Iterator[Process]:
    """Start a program whose stdout and stderr the caller reads; stop it at the end of the block."""
    command = [find_tool(str(argv[0])), *map(str, argv[1:])]
    with _started(command, env=env, cwd=None, stdin=None, stdout=None) as process:
        yield process


@contextmanager
def _started(
    command: list[str],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    stdin: bytes | IO[bytes] | None,
    stdout: IO[bytes] | None,
    stderr: IO[bytes] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    process = None
    try:
        with held_off():  # Otherwise a signal could leave it running without a reference to it.
            process = subprocess.Popen(
                [*_guard(), *command],
                env=_environment(env),
                cwd=cwd,
                stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin or subprocess.DEVNULL,
                stdout=stdout or subprocess.PIPE,
                stderr=stderr or subprocess.PIPE,
                start_new_session=True,
            )
        if isinstance(stdin, bytes):
            threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True).start()
        yield process
    finally:
        if process:
            _end(process)


def wait_for(process: Process, timeout_s: float, name: str) -> int:
    """Return the exit code of a background program; ToolError if it does not end in time."""
    try:
        return process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise ToolError(f"{name} was still running after {timeout_s:g} s", hint="check its input") from None


def _guard() -> list[str]:
    """Return the command prefix that makes a program die with us."""
    if not has_tool("setpriv"):
        return []
    return ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", UNLESS_ORPHANED, str(os.getpid())]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a running process and its group: SIGTERM, then SIGKILL to the whole group."""
    if process.poll() is not None:
        return
    _signal_group(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=END_TIMEOUT_S)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextmanager
def _open_log(path: Path | None, command: list[str]) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    with path.open("a", buffering=1, encoding="utf-8") as stream:
        stream.write(f"$ {shlex.join(command)}\n")
        yield stream


def _feed(stream: IO[bytes], data: bytes) -> None:
    with (
        suppress(BrokenPipeError),
        stream,
    ):  # A program may end before it has read everything; its exit code is checked.
        stream.write(data)


def failure(result: Result, log_file: Path | None, *, name: str | None = None) -> ToolError | SpaceError:
    """Return the error for a failed process, with its exit code or signal and its last lines of output."""
    lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
    name = name or Path(result.argv[0]).name
    end = f"signal {signal.Signals(-result.code).name}" if result.code < 0 else f"exit code {result.code}"
    message = "\n".join([f"{name} ended with {end}; its last lines:", *(f"  | {text}" for text in lines[-LAST_LINES:])])
    if any("No space left on device" in text for text in lines):
        return SpaceError(message, hint=DISK_FULL_HINT)
    return ToolError(message, hint=f"the full log is in {log_file}" if log_file else _repeat(result.argv))


def _repeat(command: Sequence[str]) -> str:
    return f"to see it again: {shlex.join(command)}"


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return (
        passed
        | find_proxies()
        | {"PATH": search_path(), "LC_ALL": "C.UTF-8", "TZ": "UTC", "DEBIAN_FRONTEND": "noninteractive"}
        | dict(extra or {})
    )
