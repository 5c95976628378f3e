# SPDX-License-Identifier: MIT
"""All processes that start on this machine while a block runs: what they ran, from when to when, and their CPU time.

Needs root, tracefs (which forks, executes and exits when) and taskstats (exact CPU time at each exit), both of the
kernel that runs; processes in containers and namespaces are seen too. Nothing of it is left behind.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

EVENTS = [f"sched/sched_process_{name}" for name in ("fork", "exec", "exit")]
# python-412 [001] ..... 1368.572716: sched_process_exec: filename=/usr/bin/env pid=413 old_pid=413
LINE = re.compile(r"-(\d+) +\[\d+\] \S+ +([\d.]+): sched_process_(\w+): (.*)$")
SO_RCVBUFFORCE = 33
# linux/genetlink.h, linux/taskstats.h
GENERIC, CONTROL, GET_FAMILY, FAMILY_ID, FAMILY_NAME = 16, 16, 3, 1, 2
GET, REGISTER, OF_PROCESS, PID, STATS = 1, 3, 4, 1, 3
CPU_NS_AT, ELAPSED_US_AT = 72, 144
SLACK_S = 0.05
"""By how much two clocks may differ on how long a process lived."""


@dataclass
class Process:
    """A process or a thread; times in seconds of the monotonic clock."""

    pid: int
    parent: Process | None
    begun: float
    ended: float = 0.0
    ran: list[str] = field(default_factory=list)
    """The files that it executed, in order."""
    cpu: float = 0.0


class _Exits:
    """taskstats: how much CPU time each process had that ended, in the order of their ends."""

    def __init__(self) -> None:
        self.found: list[tuple[int, float, float]] = []
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, GENERIC)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 27)
        self._socket.settimeout(0.2)
        self._send(CONTROL, GET_FAMILY, FAMILY_NAME, b"TASKSTATS\0")
        self._family = struct.unpack_from("H", _read_attributes(self._socket.recv(65536)[20:])[FAMILY_ID])[0]
        self._send(self._family, GET, REGISTER, f"0-{(os.cpu_count() or 1) - 1}\0".encode())

    def _send(self, family: int, command: int, kind: int, value: bytes) -> None:
        attribute = struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)
        size = 16 + 4 + len(attribute)
        self._socket.send(struct.pack("IHHII", size, family, 1, 1, 0) + struct.pack("BBH", command, 1, 0) + attribute)

    def collect(self, over: threading.Event) -> None:
        """Read until there is nothing more after the end."""
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                if over.is_set():
                    self._socket.close()
                    return
                continue
            while len(data) > 20:
                size, family = struct.unpack_from("IH", data)
                told = _read_attributes(data[20:size]) if family == self._family else {}
                if OF_PROCESS in told:
                    inner = _read_attributes(told[OF_PROCESS])
                    pid, stats = struct.unpack_from("I", inner[PID])[0], inner[STATS]
                    cpu, elapsed = (struct.unpack_from("Q", stats, at)[0] for at in (CPU_NS_AT, ELAPSED_US_AT))
                    self.found.append((pid, cpu / 1e9, elapsed / 1e6))
                data = data[size + -size % 4 :]


def _read_attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("HH", data)
        found[kind & 0x3FFF] = data[4:size]
        data = data[max(4, size + -size % 4) :]
    return found


@contextlib.contextmanager
def watched() -> Iterator[list[Process]]:
    """Yield a list, which holds all processes when the block has ended."""
    processes: list[Process] = []
    lines: list[bytes] = []
    over = threading.Event()
    with _tracing() as pipe:
        exits = _Exits()
        threads = [
            threading.Thread(target=exits.collect, args=(over,)),
            threading.Thread(target=_read_all, args=(pipe, lines, over)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield processes
        finally:
            time.sleep(0.5)  # What ended last is on its way.
            over.set()
            for thread in threads:
                thread.join()
    processes.extend(_read_lines(b"".join(lines).decode(errors="replace")))
    _assign(processes, exits.found)


@contextlib.contextmanager
def _tracing() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["mount", "-t", "tracefs", "tracefs", place], check=True)
        instance = Path(place, "instances", f"boardwright-{os.getpid()}")
        try:
            instance.mkdir()
            (instance / "trace_clock").write_text("mono")
            (instance / "buffer_size_kb").write_text("16384")
            for event in EVENTS:
                (instance / "events" / event / "enable").write_text("1")
            pipe = os.open(instance / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
            try:
                yield pipe
            finally:
                os.close(pipe)
        finally:
            with contextlib.suppress(FileNotFoundError):
                instance.rmdir()
            subprocess.run(["umount", place], check=True)


def _read_all(pipe: int, lines: list[bytes], over: threading.Event) -> None:
    while True:
        try:
            lines.append(os.read(pipe, 1 << 20))
        except BlockingIOError:
            if over.is_set():
                return
            time.sleep(0.02)


def _read_lines(text: str) -> Iterator[Process]:
    alive: dict[int, Process] = {}
    for match in filter(None, map(LINE.search, text.splitlines())):
        pid, now, event, facts = int(match[1]), float(match[2]), match[3], match[4]
        if event == "fork":
            child = int(facts.rpartition("child_pid=")[2])
            alive[child] = Process(child, alive.get(pid), now)
            yield alive[child]
        elif event == "exec" and pid in alive:
            alive[pid].ran.append(facts.removeprefix("filename=").partition(" pid=")[0])
        elif event == "exit" and pid in alive:
            alive.pop(pid).ended = now


def _assign(processes: list[Process], exits: list[tuple[int, float, float]]) -> None:
    """Give each process its CPU time. A number may be used again, so how long it lived must fit too."""
    by_pid: dict[int, list[Process]] = {}
    for process in processes:
        by_pid.setdefault(process.pid, []).append(process)
    for pid, cpu, elapsed in exits:
        for process in by_pid.get(pid, ()):
            if process.ended and not process.cpu and abs(process.ended - process.begun - elapsed) < SLACK_S:
                process.cpu = cpu
                break
