# SPDX-License-Identifier: MIT
"""The only starter of processes.

A process gets an argument list (never a shell), a small environment with LC_ALL=C.UTF-8 and TZ=UTC, and a
session of its own, so that ^C in the terminal reaches us alone and we end our children in order. It dies with us
even on SIGKILL (parent-death signal, set by setpriv of util-linux where that exists).
"""

from __future__ import annotations

import contextvars
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO

from builder import log
from builder.errors import MachineError, SpaceError, ToolError

PASSED_ON = ("PATH", "HOME", "TERM", "TMPDIR", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")
LAST_LINES = 15
END_TIMEOUT_S = 20.0

DEBIAN_PACKAGES = {
    "sfdisk": "fdisk",
    "mke2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "mformat": "mtools",
    "mcopy": "mtools",
    "mmd": "mtools",
    "mdir": "mtools",
    "mtype": "mtools",
    "fsck.vfat": "dosfstools",
    "losetup": "mount",
    "mount": "mount",
    "umount": "mount",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "chroot": "coreutils",
    "mmdebstrap": "mmdebstrap",
    "patchelf": "patchelf",
    "zstd": "zstd",
    "xz": "xz-utils",
    "pigz": "pigz",
    "zip": "zip",
    "gpg": "gpg",
    "dpkg-deb": "dpkg",
    "git": "git",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-aarch64": "qemu-system-arm",
}
"""Debian package of each tool that is started; also what `doctor` looks for."""


@dataclass(frozen=True)
class Result:
    """What a process left: its exit code and what it said (text, undecodable bytes replaced)."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


def find_tool(name: str) -> str:
    """Return the path of a program; MachineError with its Debian package when there is none."""
    path = shutil.which(name, path=_path())
    if path is None:
        package = DEBIAN_PACKAGES.get(Path(name).name, Path(name).name)
        raise MachineError(f"the program {name} is not on this machine", hint=f"apt-get install {package}")
    return path


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    ok: Collection[int] = (0,),
    log_file: Path | None = None,
    timeout_s: float | None = None,
) -> Result:
    """Run a program to its end and return what it said.

    argv      program and arguments
    env       added to the scrubbed environment
    stdin     bytes to feed; nothing (/dev/null) without
    ok        exit codes that are an answer; any other is a ToolError with the last lines it said
    log_file  every line is appended there, and passed on to the running step

    Raises MachineError (no such program), SpaceError (the program met a full disk), ToolError (bad end or timeout).
    """
    command = [find_tool(str(argv[0])), *map(str, argv[1:])]
    with _started(command, env=env, cwd=cwd, stdin=stdin) as process, _open_log(log_file, command) as story:
        out, err = _Reader(process.stdout, story), _Reader(process.stderr, story)
        if stdin is not None and process.stdin:
            _feed(process.stdin, stdin)
        try:
            code = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise ToolError(f"{argv[0]} was still running after {timeout_s:.0f} s", hint=_repeat(command)) from None
        result = Result(tuple(command), code, out.text(), err.text())
    if code not in ok:
        raise _failure(result, log_file)
    return result


@contextmanager
def _started(
    command: list[str], *, env: Mapping[str, str] | None, cwd: Path | None, stdin: bytes | None
) -> Iterator[subprocess.Popen[bytes]]:
    guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv", path=_path()) else []
    process = subprocess.Popen(
        [*guard, *command],
        env=_environment(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group if it still runs: ask, then insist."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        os.killpg(process.pid, number)
        try:
            process.wait(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


class _Reader:
    """Collects a stream in a thread, line by line, so that neither pipe of a process can fill up and block it."""

    def __init__(self, stream: IO[bytes] | None, story: TextIO | None) -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._collect, stream, story), daemon=True
        )
        self._thread.start()

    def _collect(self, stream: IO[bytes], story: TextIO | None) -> None:
        for raw in stream:
            text = raw.decode(errors="replace")
            self._lines.append(text)
            if story:
                story.write(text)
                log.line(text.rstrip())

    def text(self) -> str:
        self._thread.join()
        return "".join(self._lines)


@contextmanager
def _open_log(path: Path | None, command: list[str]) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    with path.open("a", buffering=1, encoding="utf-8") as stream:
        stream.write(f"$ {shlex.join(command)}\n")
        yield stream


def _feed(stream: IO[bytes], data: bytes) -> None:
    try:
        stream.write(data)
        stream.close()
    except BrokenPipeError:
        return  # The program ended before it read everything; its exit code tells why.


def _failure(result: Result, log_file: Path | None) -> ToolError | SpaceError:
    said = (result.stderr.strip() or result.stdout.strip()).splitlines()
    name = Path(result.argv[0]).name
    end = f"signal {signal.Signals(-result.code).name}" if result.code < 0 else f"exit code {result.code}"
    message = "\n".join([f"{name} ended with {end}; its last lines:", *(f"  | {text}" for text in said[-LAST_LINES:])])
    if any("No space left on device" in text for text in said):
        return SpaceError(message, hint="free some space, or name another place with BOARDWRIGHT_WORK")
    return ToolError(message, hint=f"the whole story is in {log_file}" if log_file else _repeat(result.argv))


def _repeat(command: Sequence[str]) -> str:
    return f"to see it again: {shlex.join(command)}"


def _path() -> str:
    """PATH with the directories that hold mke2fs and sfdisk, which Debian leaves out for ordinary users."""
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return (
        passed
        | {"PATH": _path(), "LC_ALL": "C.UTF-8", "TZ": "UTC", "DEBIAN_FRONTEND": "noninteractive"}
        | dict(extra or {})
    )
