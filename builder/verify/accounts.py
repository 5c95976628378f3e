# SPDX-License-Identifier: MIT
"""Users, groups and passwords of a tree: passwd(5), group(5), shadow(5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class User:
    """A row of passwd."""

    name: str
    password: str
    """x: in shadow. Empty: none is asked for."""
    uid: int
    gid: int
    gecos: str
    home: str
    shell: str


@dataclass(frozen=True)
class Group:
    """A row of group."""

    name: str
    gid: int
    members: tuple[str, ...]


def read_users(text: str) -> Mapping[str, User]:
    """Return the users of a passwd by name."""
    rows = [line.split(":") for line in text.splitlines() if line.count(":") == 6]
    return {row[0]: User(row[0], row[1], int(row[2]), int(row[3]), row[4], row[5], row[6]) for row in rows}


def read_groups(text: str) -> Mapping[str, Group]:
    """Return the groups of a group file by name."""
    rows = [line.split(":") for line in text.splitlines() if line.count(":") == 3]
    return {row[0]: Group(row[0], int(row[2]), tuple(filter(None, row[3].split(",")))) for row in rows}


def read_shadow(text: str) -> Mapping[str, str]:
    """Return what stands in the place of each user's password: ! and * let nobody in."""
    return {row[0]: row[1] for row in (line.split(":") for line in text.splitlines()) if len(row) > 1}
