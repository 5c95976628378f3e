# SPDX-License-Identifier: MIT
"""Render the files of the build that grant access: cloud-init's configuration, and sudo's."""

from __future__ import annotations

import json
from collections.abc import Mapping

from builder.plan.model import Plan
from builder.recipe.model import User

FIRMWARE = "/boot/firmware"
"""Path of the FAT partition for users, cloud-init and the documentation, whatever its mount point is."""
CLOUD_CONFIG = "/etc/cloud/cloud.cfg.d/90_boardwright.cfg"


def render_cloud_config(plan: Plan, *, has_distro: bool) -> str:
    """Return the configuration that gives cloud-init the boot partition and its default user.

    has_distro  true if the image's cloud-init has our distribution class
    """
    name, user = next(iter(plan.recipe.users.items()), (None, User()))
    config: dict[str, object] = {
        "datasource": {"NoCloud": {"seedfrom": f"file://{FIRMWARE}/"}},
        "preserve_hostname": False,
        "manage_etc_hosts": True,
    }
    system: dict[str, object] = {"distro": "boardwright"} if has_distro else {}
    if name:
        system["default_user"] = _default_user(name, user)
    else:
        config["users"] = []  # Otherwise cloud-init makes the default user of its package.
    if system:
        config["system_info"] = system
    # ds-identify reads the list with a line-based parser, so it must be on one line.
    return "# Written by Boardwright. YAML; JSON is a part of it.\ndatasource_list: [NoCloud]\n" + "".join(
        f"{key}: {json.dumps(value)}\n" for key, value in config.items()
    )


def _default_user(name: str, user: User) -> dict[str, object]:
    return {
        "name": name,
        "gecos": user.gecos,
        "groups": list(user.groups),
        "shell": user.shell,
        "lock_passwd": True,
        **({"sudo": ["ALL=(ALL) NOPASSWD:ALL"]} if user.sudo == "nopasswd" else {}),
    }


def render_sudoers(plan: Plan) -> Mapping[str, str]:
    """Return sudoers files for users with `sudo: nopasswd`, by path."""
    return {
        f"/etc/sudoers.d/boardwright-{name}": f"{name} ALL=(ALL) NOPASSWD:ALL\n"
        for name, user in plan.recipe.users.items()
        if user.sudo == "nopasswd"
    }
