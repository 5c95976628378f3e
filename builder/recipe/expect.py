# SPDX-License-Identifier: MIT
"""What an image may have besides what its packages bring and the other keys of its recipe ask for."""

from __future__ import annotations

from dataclasses import dataclass

from builder.recipe.values import AccessName, Frozen, FstabSource, PackageName, Port, SystemPath, UserName, Why


class Expect(Frozen):
    """What the specs allow, by name, each with the reason. Packages need no line: what they bring is known."""

    setid: dict[SystemPath, Why] = {}
    """Set-user-id and set-group-id files that are not so by their package."""
    capabilities: dict[SystemPath, Why] = {}
    """Files with capabilities, such as cap_net_bind_service."""
    writable: dict[SystemPath, Why] = {}
    """Files and directories that every user may write to."""
    owners: dict[SystemPath, Why] = {}
    """Files and directories of the system that others than root own or may write, such as a key of a service."""
    links: dict[SystemPath, Why] = {}
    """Symlinks that lead nowhere until the system runs."""
    special: dict[SystemPath, Why] = {}
    """Pipes, sockets and device nodes."""
    shells: dict[UserName, Why] = {}
    """Users that are not of the recipe and may log in."""
    held: dict[PackageName, Why] = {}
    """Packages that upgrades leave alone. customise.sh may hold packages without a line; a line gives the reason."""
    swap: dict[FstabSource, Why] = {}
    """What fstab swaps to. customise.sh may add to fstab without a line; a line gives the reason."""
    mounts: dict[SystemPath, Why] = {}
    """Mount points of fstab besides those of the partitions."""
    traces: dict[SystemPath, Why] = {}
    """Files where a system that has never run has none, such as below /var/lib/docker."""
    programs: dict[SystemPath, Why] = {}
    """Programs in the path that are of no package; those below /usr/local need no line."""
    access: dict[AccessName, Why] = {}
    """Files that decide who gets in or make root run a command, mounts of fstab over such files, and words of the
    kernel's command line that let somebody in, such as init=/usr/sbin/overlay."""
    listening: dict[Port, Why] = {}
    """Ports, such as tcp/80, that are open to the network on the running system."""


@dataclass(frozen=True)
class Expected:
    """A line of `expect`."""

    kind: str
    """Its key: setid."""
    name: str
    """What is allowed: a path, a user, a port."""
    why: str
    at: str
    """File and line: board.yaml:17 of the board that has it."""
