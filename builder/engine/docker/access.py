# SPDX-License-Identifier: MIT
"""How a user gets access to an Engine whose socket refuses: the hint that fits the socket's group."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

SUDO = "call it with sudo"


def render_admission(socket: Path) -> str:
    """Return what this user can do to be let in at a socket."""
    try:
        group = grp.getgrgid(socket.stat().st_gid)
        user = pwd.getpwuid(os.geteuid()).pw_name
    except (OSError, KeyError):  # The socket is out of sight, or a number without a name.
        return SUDO
    if group.gr_gid == 0 or group.gr_gid in (os.getegid(), *os.getgroups()):
        return SUDO  # Root's own group is nothing to join; and being in the group did not help.
    if user in group.gr_mem:
        return f"log in again: you are in the group {group.gr_name} since your last login; or {SUDO}"
    return f"sudo usermod -aG {group.gr_name} {user}, then log in again; or {SUDO}"
