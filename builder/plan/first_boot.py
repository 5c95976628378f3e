# SPDX-License-Identifier: MIT
"""Files that the build itself writes about who gets in: cloud-init's configuration, and those of sudo."""

from __future__ import annotations

import json
from collections.abc import Mapping

from builder.plan.model import Plan
from builder.recipe.model import User

FIRMWARE = "/boot/firmware"
"""Where users, cloud-init and the documentation find the FAT partition, whatever its mount point is."""
CLOUD_CONFIG = "/etc/cloud/cloud.cfg.d/90_boardwright.cfg"


def render_cloud_config(plan: Plan, *, has_distro: bool) -> str:
    """Return the configuration that points cloud-init at the boot partition and names its default user.

    has_distro  whether the image has a cloud-init that takes our kind of distribution
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
        config["users"] = []  # Else cloud-init makes the one of its own package.
    if system:
        config["system_info"] = system
    # ds-identify reads the list with a line-based parser: it must be one line of its own.
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
    """Return the files that let users do without a password where the recipe says so, by path."""
    return {
        f"/etc/sudoers.d/boardwright-{name}": f"{name} ALL=(ALL) NOPASSWD:ALL\n"
        for name, user in plan.recipe.users.items()
        if user.sudo == "nopasswd"
    }
