# SPDX-License-Identifier: MIT
"""Check that useradd(8), groupadd(8) and locale-gen(8) can make a recipe's users and locale."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from builder.recipe.check_disk import Finding
from builder.recipe.model import User
from builder.recipe.nodes import suggest

SHOWN = 8
"""Most locales of a country that a message names."""
LOCALES = Path(__file__).with_name("locales.txt")
"""Locales of glibc in UTF-8, one a line, without .UTF-8 (/usr/share/i18n/SUPPORTED of Debian's locales)."""

_USERS = "root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc _apt nobody"
_GROUPS = """
    root daemon bin sys adm tty disk lp mail news uucp man proxy kmem dialout fax voice cdrom floppy tape sudo audio
    dip www-data backup operator list irc src shadow utmp video sasl plugdev staff games users nogroup
"""
BASE_USERS, BASE_GROUPS = frozenset(_USERS.split()), frozenset(_GROUPS.split())
"""Users and groups of every Debian system (base-passwd)."""


def check_users(users: dict[str, User]) -> Iterator[Finding]:
    """Check that each user is new, and the group of the same name that is made with it."""
    for name, user in users.items():
        if name in BASE_USERS:
            yield ("users", name), f"found {name}, a user of Debian itself; expected another name"
        elif name in BASE_GROUPS:
            yield ("users", name), f"found {name}, a group of Debian itself; expected another name"
        for index, group in enumerate(user.groups):
            if group == name:
                yield (
                    ("users", name, "groups", index),
                    f"found {group!r}, which is made with the user; expected other groups",
                )
            elif group in users:
                yield (
                    ("users", name, "groups", index),
                    f"found {group!r}, the own group of another user; expected other groups",
                )


def check_locale(locale: str) -> Iterator[Finding]:
    """Check that glibc has the locale."""
    known = _load_locales()
    language = locale.removesuffix(".UTF-8")
    if language != "C" and language not in known:
        country = language.partition("_")[2]
        locales = sorted(name for name in known if name.endswith(f"_{country}"))[:SHOWN]
        near = f" (for {country}: {', '.join(locales)})" if locales else suggest(language, known)
        yield ("locale",), f"found {locale!r}; expected a UTF-8 locale of glibc{near}"


@cache
def _load_locales() -> frozenset[str]:
    return frozenset(LOCALES.read_text(encoding="utf-8").split())
