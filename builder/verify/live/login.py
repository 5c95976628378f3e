# SPDX-License-Identifier: MIT
"""Make user-data for one boot of a copy, with a login that exists as long as the machine."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from builder.plan.model import Plan
from builder.system.process import run

DEFAULT_USER = "debian"
"""cloud-init's default user on Debian, for recipes without users."""


@dataclass(frozen=True)
class Login:
    """User, key and password of a machine."""

    user_data: Path
    key: Path
    """Private ssh key; the public key is beside it. It is missing if another machine made and keeps it."""
    user: str
    password: str
    """For the console; the image itself has none."""
    hostname: str
    other_user: str
    """A second user, who is only in user-data."""


def make_login(plan: Plan, directory: Path) -> Login:
    """Make an ssh key and user-data that accepts it, in `directory`. An existing public key `id.pub` is used."""
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
    """Return the cloud-config; its values are JSON, which is valid YAML."""
    config = {
        "hostname": login.hostname,
        "manage_etc_hosts": True,
        "ssh_authorized_keys": [login.key.with_suffix(".pub").read_text(encoding="utf-8").strip()],
        "password": login.password,
        "chpasswd": {"expire": False},
        "users": ["default", {"name": login.other_user, "gecos": "Of user-data", "shell": "/bin/bash"}],
    }
    return "#cloud-config\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in config.items())
