# SPDX-License-Identifier: MIT
"""Who may become root by what /etc/group, /etc/subuid and /etc/subgid say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from builder.disk.accounts import Account, Group, is_id
from builder.disk.filetree import FileTree
from builder.plan.model import Plan

OF_ROOT = frozenset(
    [
        *("root", "sudo", "wheel", "admin", "docker", "podman", "disk", "shadow", "kmem", "staff", "lxd", "incus"),
        *("incus-admin", "libvirt"),
    ]
)
"""Groups whose members may become root, or write what root runs."""
FIRST_USER = 1000
"""Numbers below are of the system (login.defs(5))."""


class MemberFacts(Protocol):
    """The properties of an image that this module uses."""

    @property
    def tree(self) -> FileTree: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def users(self) -> Mapping[str, Account]: ...
    @property
    def groups(self) -> Mapping[str, Group]: ...


def find_members(image: MemberFacts) -> dict[str, str]:
    """Return by file who is in a group that may become root, or has numbers for containers that are others', and the
    recipe does not say so."""
    asked = {(name, group) for name, user in image.plan.recipe.users.items() for group in user.groups}
    asked.add(("root", "root"))
    of_root = {group.gid: group.name for group in image.groups.values() if group.name in OF_ROOT}
    members = {(user.name, of_root[user.gid]) for user in image.users.values() if user.gid in of_root}
    members |= {(name, group.name) for group in image.groups.values() if group.gid in of_root for name in group.members}
    lines = {"/etc/group": [f"{name} is in {group}" for name, group in sorted(members - asked)]}
    taken = {"/etc/subuid": [user.uid for user in image.users.values()]}
    taken["/etc/subgid"] = [group.gid for group in image.groups.values()]
    for path, numbers in taken.items():
        lines[path] = [line for line in image.tree.file(path).lines if _takes_others(line, numbers)]
    return {path: "; ".join(rows) for path, rows in lines.items() if rows}


def _takes_others(line: str, numbers: Collection[int]) -> bool:
    """Say whether a line of subuid(5) gives numbers of users or groups that there are: a container has files of
    theirs, with the number 0 those of root."""
    row = line.split(":")
    if len(row) != 3 or not all(map(is_id, row[1:])):
        return True
    first, count = int(row[1]), int(row[2])
    return first < FIRST_USER or any(first <= number < first + count for number in numbers)
