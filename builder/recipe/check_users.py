# SPDX-License-Identifier: MIT
"""What a recipe's users and locale must be for the tools that make them: useradd(8), groupadd(8), locale-gen(8)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from builder.recipe.check_disk import Finding
from builder.recipe.model import User
from builder.recipe.nodes import suggest

SHOWN = 8
"""Locales of a country that are shown, at most."""
LOCALES = Path(__file__).with_name("locales.txt")
"""Languages that glibc has in UTF-8, one a line, without .UTF-8 (/usr/share/i18n/SUPPORTED of Debian's locales)."""

_USERS = "root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc _apt nobody"
_GROUPS = """
    root daemon bin sys adm tty disk lp mail news uucp man proxy kmem dialout fax voice cdrom floppy tape sudo audio
    dip www-data backup operator list irc src shadow utmp video sasl plugdev staff games users nogroup
"""
BASE_USERS, BASE_GROUPS = frozenset(_USERS.split()), frozenset(_GROUPS.split())
"""What each Debian has from its first package on (base-passwd)."""


def check_users(users: dict[str, User]) -> Iterator[Finding]:
    """Each user, and the group of his own name that is made with him, is new."""
    for name, user in users.items():
        if name in BASE_USERS:
            yield ("users", name), f"found {name}, a user that Debian has by itself; allowed: another name"
        elif name in BASE_GROUPS:
            yield ("users", name), f"found {name}, a group that Debian has by itself; allowed: another name"
        for index, group in enumerate(user.groups):
            if group == name:
                yield ("users", name, "groups", index), f"found {group!r}, which is made with the user; leave it out"
            elif group in users:
                yield (
                    ("users", name, "groups", index),
                    f"found {group!r}, the own group of another user; allowed: other groups",
                )


def check_locale(locale: str) -> Iterator[Finding]:
    """glibc has the locale."""
    known = _load_locales()
    language = locale.removesuffix(".UTF-8")
    if language != "C" and language not in known:
        country = language.partition("_")[2]
        there = sorted(name for name in known if name.endswith(f"_{country}"))[:SHOWN]
        near = f" (for {country}: {', '.join(there)})" if there else suggest(language, known)
        yield ("locale",), f"found {locale!r}, which glibc does not have; allowed: one of `locale-gen`'s{near}"


@cache
def _load_locales() -> frozenset[str]:
    return frozenset(LOCALES.read_text(encoding="utf-8").split())
