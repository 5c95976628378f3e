# SPDX-License-Identifier: MIT
"""Users, groups and passwords of a tree: passwd(5), group(5), shadow(5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder.errors import VerifyError

ID = re.compile("[0-9]{1,10}")


@dataclass(frozen=True)
class Account:
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


def is_id(text: str) -> bool:
    """Say whether a text is the number of a user or a group."""
    return ID.fullmatch(text) is not None


def read_users(text: str) -> Mapping[str, Account]:
    """Return the users of a passwd by name; VerifyError for an invalid line."""
    rows = list(_split(text, "passwd", 7, ids=(2, 3)))
    return {row[0]: Account(row[0], row[1], int(row[2]), int(row[3]), row[4], row[5], row[6]) for row in rows}


def read_groups(text: str) -> Mapping[str, Group]:
    """Return the groups of a group file by name; VerifyError for an invalid line."""
    rows = list(_split(text, "group", 4, ids=(2,)))
    return {row[0]: Group(row[0], int(row[2]), tuple(filter(None, row[3].split(",")))) for row in rows}


def read_shadow(text: str) -> Mapping[str, str]:
    """Return the password field of each user; ! and * prevent a login by password."""
    return {row[0]: row[1] for row in _split(text, "shadow", 9)}


def _split(text: str, name: str, count: int, *, ids: Sequence[int] = ()) -> Iterator[list[str]]:
    """Yield the fields of each line; VerifyError for an invalid line and for a second line of a name.

    They are not skipped: glibc accepts more lines than are read here, and of two lines it takes the first.
    """
    names = set[str]()
    for line in text.split("\n"):
        row = line.split(":")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if len(row) != count or not all(is_id(row[at]) for at in ids) or row[0] in names:
            raise VerifyError(
                f"/etc/{name} has the line {line[:80]!r}; allowed: {count} fields, numbers for ids, each name once",
                hint="build the image again",
            )
        names.add(row[0])
        yield row
