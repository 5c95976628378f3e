# SPDX-License-Identifier: MIT
"""An image in QEMU with its console on this terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.errors import ToolError
from builder.plan.user_data import check_user_data
from builder.verify.artefact import opened
from builder.verify.check import Wish, make_task, open_scratch
from builder.verify.login import Login, make_login
from builder.verify.qemu.machine import Machine, prepare, use_console


@dataclass(frozen=True)
class Seat:
    """A machine that waits to be switched on, and who may sit down at it."""

    machine: Machine
    login: Login | None
    """None where user-data is the user's own."""

    @property
    def ssh(self) -> str:
        """The command line that logs in."""
        words = ["ssh", "-p", str(self.machine.ssh_port)]
        words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        words += ["-i", str(self.login.key), f"{self.login.user}@127.0.0.1"] if self.login else ["127.0.0.1"]
        return shlex.join(words)

    def use(self) -> None:
        """Give the terminal to the console until the machine is off; ToolError when QEMU ends badly."""
        code = use_console(self.machine)
        if code:
            raise ToolError(f"QEMU ended with exit code {code}", hint="what it said is above")


@contextmanager
def opened_seat(path: Path, wish: Wish, state: Path, *, ssh_port: int = 0) -> Iterator[Seat]:
    """Yield a machine with a copy of an image file; all of it is gone at the end.

    Without user-data in the wish, a login is made that lasts as long as the machine.

    Raises MachineError (no QEMU, or a board that has none), VerifyError, RecipeError.
    """
    if wish.user_data:
        check_user_data(wish.user_data)
    with open_scratch(state, "boot") as scratch, opened(path, scratch) as found:
        plan = make_task(found, wish, scratch).make_plan()
        login = None if wish.user_data else make_login(plan, scratch)
        with log.step(f"a card with a copy of {path.name}"):
            data = login.user_data if login else wish.user_data
            machine = prepare(plan, found.raw, work=scratch, user_data=data, interactive=True, ssh_port=ssh_port)
        if login:
            log.note(f"user on the console: {login.user}, password {login.password}")
        log.note("Ctrl-a x ends the machine, Ctrl-a h says what else; so does sudo poweroff")
        yield Seat(machine, login)
