# SPDX-License-Identifier: MIT
"""An image in QEMU with its console on this terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.disk.image_file import Found, opened
from builder.errors import ToolError
from builder.plan.user_data import check_user_data
from builder.verify.live.login import Login, make_login
from builder.verify.live.qemu.machine import Machine, prepare, use_console
from builder.verify.verify import Wish, make_task, open_scratch


@dataclass(frozen=True)
class Seat:
    """A machine that waits to be switched on, and who may sit down at it."""

    machine: Machine
    login: Login | None
    """None where user-data is the user's own."""

    @property
    def ssh(self) -> str:
        """The command line that logs in."""
        login = self.login
        return render_ssh(self.machine.ssh_port, login.user if login else "", login.key if login else None)

    def use(self) -> None:
        """Give the terminal to the console until the machine is off; ToolError when QEMU ends badly."""
        check_exit(use_console(self.machine))


def check_exit(code: int) -> None:
    """Raise ToolError unless QEMU ended well."""
    if code:
        raise ToolError(f"QEMU ended with exit code {code}", hint="what it said is above")


def render_ssh(port: int, user: str, key: Path | None, *, jump: str = "") -> str:
    """Return the command line that logs in at a port of this machine, or of `jump` by way of it."""
    words = ["ssh", *(["-J", jump] if jump else []), "-p", str(port)]
    words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    words += ["-i", str(key)] if key else []
    return shlex.join([*words, f"{user}@127.0.0.1" if user else "127.0.0.1"])


@contextmanager
def opened_seat(path: Path, wish: Wish, state: Path, *, ssh_port: int = 0) -> Iterator[Seat]:
    """Yield a machine with a copy of an image file; all of it is gone at the end.

    Without user-data in the wish, a login is made that lasts as long as the machine.

    Raises MachineError (no QEMU, or a board that has none), VerifyError, RecipeError.
    """
    if wish.user_data:
        for warning in check_user_data(wish.user_data):
            log.warn(warning)
    with open_scratch(state, "boot") as scratch, opened(path, scratch) as found:
        yield _make_seat(found, wish, scratch, ssh_port=ssh_port)


def prepare_seat(path: Path, wish: Wish, state: Path, directory: Path, *, ssh_port: int) -> Seat:
    """Return a machine whose files are in `directory` and stay there, for another process to start. Raises as
    `opened_seat` does."""
    with open_scratch(state, "boot") as scratch, opened(path, scratch) as found:
        return _make_seat(found, wish, directory, ssh_port=ssh_port)


def _make_seat(found: Found, wish: Wish, directory: Path, *, ssh_port: int) -> Seat:
    plan = make_task(found, wish, directory).plan
    directory.mkdir(parents=True, exist_ok=True)
    login = None if wish.user_data else make_login(plan, directory)
    with log.step(f"a card with a copy of {found.path.name}"):
        machine = prepare(
            plan,
            found.raw,
            work=directory,
            user_data=login.user_data if login else wish.user_data,
            interactive=True,
            ssh_port=ssh_port,
        )
    if login:
        log.note(f"user on the console: {login.user}, password {login.password}")
    log.note("Ctrl-a x ends the machine, Ctrl-a h says what else; so does sudo poweroff")
    return Seat(machine, login)
