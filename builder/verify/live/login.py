# SPDX-License-Identifier: MIT
"""User-data for one boot of a copy: a way to log in that exists as long as the machine does."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from builder.plan.model import Plan
from builder.system.process import run

DEFAULT_USER = "debian"
"""cloud-init's own on Debian, where a recipe names none."""


@dataclass(frozen=True)
class Login:
    """Who may log in, and how."""

    user_data: Path
    key: Path
    """Private ssh key; the public one is beside it. It is not there where another machine made it and keeps it."""
    user: str
    password: str
    """For the console; the image itself has none."""
    hostname: str
    other_user: str
    """A second user, which only user-data knows."""


def make_login(plan: Plan, directory: Path) -> Login:
    """Make a key and a user-data file in `directory` that lets it in. A public key `id.pub` that is there is used."""
    key = directory / "id"
    if not key.with_suffix(".pub").exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "boardwright", "-f", key])
    login = Login(
        user_data=directory / "user-data",
        key=key,
        user=next(iter(plan.recipe.users), DEFAULT_USER),
        password=secrets.token_hex(4),
        hostname=f"{plan.recipe.hostname[:50].rstrip('-')}-lab",
        other_user="keeper",
    )
    login.user_data.write_text(render_user_data(login), encoding="utf-8")
    return login


def render_user_data(login: Login) -> str:
    """Return the cloud-config; JSON is a part of YAML."""
    config = {
        "hostname": login.hostname,
        "manage_etc_hosts": True,
        "ssh_authorized_keys": [login.key.with_suffix(".pub").read_text(encoding="utf-8").strip()],
        "password": login.password,
        "chpasswd": {"expire": False},
        "users": ["default", {"name": login.other_user, "gecos": "Of user-data", "shell": "/bin/bash"}],
    }
    return "#cloud-config\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in config.items())
