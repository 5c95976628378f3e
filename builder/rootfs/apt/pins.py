# SPDX-License-Identifier: MIT
"""APT's priorities for the archives that ask for another than its own.

A pin holds for what an archive calls itself in its signed Release, and not for a host: deb.debian.org has trixie and
trixie-backports, and a pin for one of them must not reach the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from builder import log
from builder.recipe.model import Archive
from builder.rootfs.apt.indexes import Index

PLAIN = re.compile(r"[A-Za-z0-9 ._:+~-]+")
"""What a value may be: apt takes a comma for the next condition, and * ? [ / for a pattern."""


def render_pins(archives: Mapping[str, Archive], indexes: Sequence[Index]) -> str:
    """Return apt_preferences for the archives that ask for another priority than APT's own.

    Warns where a pin reaches another archive too, because both call themselves the same.
    """
    stanzas = []
    for name, archive in archives.items():
        if archive.pin is None:
            continue
        conditions = _find_conditions(archive, indexes)
        for other in (each for each in archives if archives[each].pin != archive.pin):
            for shared in sorted(conditions & _find_conditions(archives[other], indexes)):
                log.warn(f"archives.{name}: its pin holds for archives.{other} too: both are {shared}")
        pins = [f"release {each}" for each in sorted(conditions)]
        if not pins:
            host = urlsplit(archive.url).hostname or ""
            log.warn(f"archives.{name}: its Release does not say what it is; its pin holds for all of {host}")
            pins = [f'origin "{host}"']
        stanzas += [f"Package: *\nPin: {pin}\nPin-Priority: {archive.pin}\n" for pin in pins]
    return "\n".join(stanzas)


def _find_conditions(archive: Archive, indexes: Sequence[Index]) -> set[str]:
    """Return what apt_preferences says of an archive's suites, but those whose Release has nothing to say."""
    return {text for index in indexes if index.is_of(archive) and (text := _render_conditions(index))}


def _render_conditions(index: Index) -> str:
    fields = {"o": index.origin, "l": index.label, "n": index.codename}
    return ",".join(f"{key}={value}" for key, value in fields.items() if PLAIN.fullmatch(value))
