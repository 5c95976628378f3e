# SPDX-License-Identifier: MIT
"""Start an image in QEMU with its console on this terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.disk.image_file import OpenImage, open_image
from builder.errors import ToolError
from builder.plan.user_data import check_user_data
from builder.verify.live.login import Login, make_login
from builder.verify.live.qemu.machine import Machine, prepare, use_console
from builder.verify.verify import VerifyOptions, make_task, open_scratch


@dataclass(frozen=True)
class InteractiveMachine:
    """A prepared QEMU machine and its login."""

    machine: Machine
    login: Login | None
    """None if the user gave user-data."""

    @property
    def ssh(self) -> str:
        """The ssh command line to log in."""
        login = self.login
        return render_ssh(self.machine.ssh_port, login.user if login else "", login.key if login else None)

    def use(self) -> None:
        """Attach the console to the terminal until the machine is off; ToolError if QEMU fails."""
        check_exit(use_console(self.machine))


def check_exit(code: int) -> None:
    """Raise ToolError unless the exit code of QEMU is 0."""
    if code:
        raise ToolError(f"QEMU ended with exit code {code}", hint="see its messages above")


def render_ssh(port: int, user: str, key: Path | None, *, jump: str = "") -> str:
    """Return the ssh command line for a port of this machine, or of the host `jump`."""
    argv = ["ssh", *(["-J", jump] if jump else []), "-p", str(port)]
    argv += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    argv += ["-i", str(key)] if key else []
    return shlex.join([*argv, f"{user}@127.0.0.1" if user else "127.0.0.1"])


@contextmanager
def open_machine_console(
    path: Path, options: VerifyOptions, state: Path, *, ssh_port: int = 0
) -> Iterator[InteractiveMachine]:
    """Yield a machine with a copy of an image file; the copy is deleted at the end.

    Without user-data, a login is made that exists as long as the machine.

    Raises MachineError (no QEMU, or a board without `qemu`), VerifyError, RecipeError.
    """
    if options.user_data:
        for warning in check_user_data(options.user_data):
            log.warn(warning)
    with open_scratch(state, "boot") as scratch, open_image(path, scratch) as image:
        yield _make_machine(image, options, scratch, ssh_port=ssh_port)


def prepare_machine(
    path: Path, options: VerifyOptions, state: Path, directory: Path, *, ssh_port: int
) -> InteractiveMachine:
    """Return a machine for another process to start. Its files stay in `directory`.

    Raises the errors of `open_machine_console`.
    """
    with open_scratch(state, "boot") as scratch, open_image(path, scratch) as image:
        return _make_machine(image, options, directory, ssh_port=ssh_port)


def _make_machine(image: OpenImage, options: VerifyOptions, directory: Path, *, ssh_port: int) -> InteractiveMachine:
    plan = make_task(image, options, directory).plan
    directory.mkdir(parents=True, exist_ok=True)
    login = None if options.user_data else make_login(plan, directory)
    with log.step(f"copy {image.path.name} to a virtual card"):
        machine = prepare(
            plan,
            image.raw,
            work=directory,
            user_data=login.user_data if login else options.user_data,
            interactive=True,
            ssh_port=ssh_port,
        )
    if login:
        log.note(f"user on the console: {login.user}, password {login.password}")
    log.note("Ctrl-a x or `sudo poweroff` ends the machine; Ctrl-a h shows help")
    return InteractiveMachine(machine, login)
