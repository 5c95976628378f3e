# SPDX-License-Identifier: MIT
"""Try passwords at login(1). This program is sent to the system under test as text, so it imports nothing of ours."""

import json
import os
import pty
import select
import threading
import time

LONGEST_S = 60.0
REFUSED = (b"incorrect", b"cannot log in", b"not allowed")


def read_until(terminal: int, wanted: tuple[bytes, ...]) -> bytes:
    """Read a terminal until one of the texts appears, it closes, or the timeout is over."""
    shown, end = b"", time.monotonic() + LONGEST_S
    while not any(word in shown for word in wanted) and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # The other end was closed.
                break
            if not piece:
                break
            shown += piece
    return shown


def start_login(user: str) -> tuple[int, int]:
    """Start login on a new terminal; return its process id and the other end of the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv("/bin/login", ["login", "--", user])
    return pid, terminal


def is_open(terminal: int, password: str) -> bool:
    """Return whether login accepts a password."""
    if b"assword" in read_until(terminal, (b"assword", b"$ ", b"# ")):
        os.write(terminal, password.encode() + b"\n")
        answer = read_until(terminal, (*REFUSED, b"$ ", b"# "))
        if any(word in answer for word in REFUSED):
            return False
    os.write(terminal, b"echo in-$((20 + 3))\n")
    return b"in-23" in read_until(terminal, (b"in-23", *REFUSED))


def main(user: str, passwords: list[str]) -> None:
    """Print the accepted passwords as JSON. login sleeps some seconds after a refusal, so all run in parallel."""
    logins = [start_login(user) for _ in passwords]
    accepted = [False] * len(passwords)

    def attempt(at: int) -> None:
        try:
            accepted[at] = is_open(logins[at][1], passwords[at])
        except OSError:  # login ended.
            accepted[at] = False

    threads = [threading.Thread(target=attempt, args=[at]) for at in range(len(passwords))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pid, terminal in logins:
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    print(json.dumps([password for password, is_accepted in zip(passwords, accepted, strict=True) if is_accepted]))
