# SPDX-License-Identifier: MIT
"""Choose the running system to verify: an image that is booted in QEMU, or a real board."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from builder import log
from builder.errors import RecipeError
from builder.plan.cloud_yaml import load_cloud_yaml
from builder.plan.model import Plan
from builder.system.files import read_text
from builder.verify.live.login import DEFAULT_USER, make_login
from builder.verify.live.qemu.machine import started
from builder.verify.live.qemu.watch import wait_for_ssh
from builder.verify.live.ssh import Running, SshAddress

NAMES = re.compile(r"[A-Za-z0-9_:.][A-Za-z0-9_:.%-]*")
"""Users, hosts and addresses. A leading hyphen is refused: ssh would read an option, which may start a program."""


@contextmanager
def booted(plan: Plan, image: Path, scratch: Path) -> Iterator[Running]:
    """Boot a copy of an image and yield the system as soon as ssh answers; it ends with the block.

    Raises MachineError (no QEMU, or a board without `qemu`), VerifyError with the last lines of the console.
    """
    login = make_login(plan, scratch)
    kind = plan.recipe.qemu.machine if plan.recipe.qemu else ""
    with log.step("copy the image to a virtual card"):
        start = started(plan, image, work=scratch, user_data=login.user_data)
    with start as machine:
        with log.step(f"boot {plan.board} in QEMU ({kind})"):
            wait_for_ssh(machine)
        reach = SshAddress(login.user, "127.0.0.1", machine.ssh_port, str(login.key), fleeting=True)
        yield Running(reach, login.hostname, machine, login.other_user)


def find_board(url: str, identity: Path | None, plan: Plan) -> Running:
    """Return a real board for a URL ssh://user@address:port; RecipeError for any other text."""
    hint = "use --host ssh://USER@ADDRESS or ssh://USER@ADDRESS:PORT"
    try:
        parts = urlsplit(url)
        port = parts.port or 22
    except ValueError as error:
        raise RecipeError(f"--host: found {url!r}: {error}", hint=hint) from None
    if parts.scheme != "ssh" or not parts.hostname or parts.path or parts.query or parts.password:
        raise RecipeError(f"--host: found {url!r}; expected an ssh:// URL without password and path", hint=hint)
    if not NAMES.fullmatch(parts.hostname) or (parts.username and not NAMES.fullmatch(parts.username)):
        raise RecipeError(f"--host: found {url!r}, of which ssh would take a part for an option", hint=hint)
    user = parts.username or next(iter(plan.recipe.users), DEFAULT_USER)
    key = str(identity.resolve()) if identity else ""
    return Running(SshAddress(user, parts.hostname, port, key), find_hostname(plan))


def find_hostname(plan: Plan) -> str:
    """Return the host name of the user-data, else that of the recipe."""
    data = load_cloud_yaml(read_text(plan.user_data)) if plan.user_data else None  # The plan has checked it.
    return str((data or {}).get("hostname") or plan.recipe.hostname)
