# SPDX-License-Identifier: MIT
"""The running system to verify: an image booted in QEMU, or a real board that was named."""

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
from builder.verify.live.ssh import Reach, Running

NAMES = re.compile(r"[A-Za-z0-9_:.][A-Za-z0-9_:.%-]*")
"""Users, hosts and addresses; ssh takes what begins with a hyphen for an option, whose value may be a program."""


@contextmanager
def booted(plan: Plan, image: Path, scratch: Path) -> Iterator[Running]:
    """Boot a copy of an image and yield the system as soon as it answers; it is gone at the end of the block.

    Raises MachineError (no QEMU, or a board that has none), VerifyError with the end of its console.
    """
    login = make_login(plan, scratch)
    kind = plan.recipe.qemu.machine if plan.recipe.qemu else ""
    with log.step("a card with a copy of the image"):
        start = started(plan, image, work=scratch, user_data=login.user_data)
    with start as machine:
        with log.step(f"boot {plan.board} in QEMU ({kind})"):
            wait_for_ssh(machine)
        reach = Reach(login.user, "127.0.0.1", machine.ssh_port, str(login.key), fleeting=True)
        yield Running(reach, login.hostname, machine, login.other_user)


def find_board(url: str, identity: Path | None, plan: Plan) -> Running:
    """Return a real board by its address, ssh://user@address:port; RecipeError when that is none."""
    hint = "give --host ssh://USER@ADDRESS or ssh://USER@ADDRESS:PORT"
    try:
        parts = urlsplit(url)
        port = parts.port or 22
    except ValueError as error:
        raise RecipeError(f"--host: found {url!r}: {error}", hint=hint) from None
    if parts.scheme != "ssh" or not parts.hostname or parts.path or parts.query or parts.password:
        raise RecipeError(f"--host: found {url!r}; allowed: an ssh address without password and path", hint=hint)
    if not NAMES.fullmatch(parts.hostname) or (parts.username and not NAMES.fullmatch(parts.username)):
        raise RecipeError(f"--host: found {url!r}, of which ssh would take a part for an option", hint=hint)
    user = parts.username or next(iter(plan.recipe.users), DEFAULT_USER)
    key = str(identity.resolve()) if identity else ""
    return Running(Reach(user, parts.hostname, port, key), find_hostname(plan))


def find_hostname(plan: Plan) -> str:
    """Return the name that user-data gives, else the recipe's."""
    data = load_cloud_yaml(read_text(plan.user_data)) if plan.user_data else None  # It was checked for the plan.
    return str((data or {}).get("hostname") or plan.recipe.hostname)
