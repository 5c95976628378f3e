# SPDX-License-Identifier: MIT
"""Explain how a user gets access to the socket of an Engine, by the group of the socket."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

SUDO = "run it with sudo"


def render_admission(socket: Path) -> str:
    """Return a hint how this user gets access to a socket."""
    try:
        group = grp.getgrgid(socket.stat().st_gid)
        user = pwd.getpwuid(os.geteuid()).pw_name
    except (OSError, KeyError):  # The socket cannot be seen, or an id has no name.
        return SUDO
    if group.gr_gid == 0 or group.gr_gid in (os.getegid(), *os.getgroups()):
        return SUDO  # Never join root's group; and the user is in the group already, which did not help.
    if user in group.gr_mem:
        return f"log in again: you are in the group {group.gr_name} since your last login; or {SUDO}"
    return f"sudo usermod -aG {group.gr_name} {user}, then log in again; or {SUDO}"
