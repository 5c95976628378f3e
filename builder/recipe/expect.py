# SPDX-License-Identifier: MIT
"""The part `expect` of a recipe: exceptions from what packages and other keys bring, each with a reason."""

from __future__ import annotations

from dataclasses import dataclass

from builder.recipe.values import AccessName, FrozenModel, FstabSource, PackageName, Port, SystemPath, UserName, Why


class Expect(FrozenModel):
    """Exceptions that the specs allow: a name and the reason. Files of packages need no line."""

    setid: dict[SystemPath, Why] = {}
    """Set-user-id and set-group-id files, unless their package sets the bit."""
    capabilities: dict[SystemPath, Why] = {}
    """Files with capabilities, such as cap_net_bind_service."""
    writable: dict[SystemPath, Why] = {}
    """Files and directories that every user may write to."""
    owners: dict[SystemPath, Why] = {}
    """Files and directories of the system that others than root own or may write, such as a key of a service."""
    links: dict[SystemPath, Why] = {}
    """Symlinks whose target does not exist before the system runs."""
    special: dict[SystemPath, Why] = {}
    """Pipes, sockets and device nodes."""
    shells: dict[UserName, Why] = {}
    """Users with a login shell that the recipe does not name in `users`."""
    held: dict[PackageName, Why] = {}
    """Packages on hold, which upgrades skip. A line is optional; it gives the reason."""
    swap: dict[FstabSource, Why] = {}
    """Swap files or devices of fstab. A line is optional; it gives the reason."""
    mounts: dict[SystemPath, Why] = {}
    """Mount points of fstab, besides those of the partitions."""
    traces: dict[SystemPath, Why] = {}
    """Files that appear only on a running system, such as those below /var/lib/docker."""
    programs: dict[SystemPath, Why] = {}
    """Programs in PATH that belong to no package; those below /usr/local need no line."""
    access: dict[AccessName, Why] = {}
    """Files that grant access or make root run a command, mounts of fstab over such files, and kernel parameters that
    grant access, such as init=/usr/sbin/overlay."""
    listening: dict[Port, Why] = {}
    """Ports that the running system opens to the network, such as tcp/80."""


@dataclass(frozen=True)
class Expected:
    """A line of `expect`."""

    kind: str
    """Key of `expect`, for example setid."""
    name: str
    """A path, a user, a port."""
    why: str
    at: str
    """Board, file and line: rpi/board.yaml:17."""
