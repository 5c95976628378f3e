# SPDX-License-Identifier: MIT
"""Render APT's pins for archives with a priority of their own.

A pin matches the names in an archive's signed Release, not a host: deb.debian.org has trixie and trixie-backports, and
a pin for one must not apply to the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from builder import log
from builder.recipe.model import Archive
from builder.rootfs.apt.indexes import Index

PLAIN = re.compile(r"[A-Za-z0-9 ._:+~-]+")
"""Allowed values: in apt_preferences a comma starts the next condition, and * ? [ / are patterns."""


def render_pins(archives: Mapping[str, Archive], indexes: Sequence[Index]) -> str:
    """Return apt_preferences for the archives with a pin.

    Warn if a pin also applies to another archive, because both have the same names in their Release.
    """
    stanzas = []
    for name, archive in archives.items():
        if archive.pin is None:
            continue
        conditions = _find_conditions(archive, indexes)
        for other in (key for key in archives if archives[key].pin != archive.pin):
            for shared in sorted(conditions & _find_conditions(archives[other], indexes)):
                log.warn(f"archives.{name}: its pin also applies to archives.{other}: both are {shared}")
        pins = [f"release {condition}" for condition in sorted(conditions)]
        if not pins:
            host = urlsplit(archive.url).hostname or ""
            log.warn(f"archives.{name}: its Release has no names to match; its pin applies to all archives on {host}")
            pins = [f'origin "{host}"']
        stanzas += [f"Package: *\nPin: {pin}\nPin-Priority: {archive.pin}\n" for pin in pins]
    return "\n".join(stanzas)


def _find_conditions(archive: Archive, indexes: Sequence[Index]) -> set[str]:
    """Return the conditions of apt_preferences for an archive's suites, without suites whose Release has no names."""
    return {text for index in indexes if index.is_of(archive) and (text := _render_conditions(index))}


def _render_conditions(index: Index) -> str:
    fields = {"o": index.origin, "l": index.label, "n": index.codename}
    return ",".join(f"{key}={value}" for key, value in fields.items() if PLAIN.fullmatch(value))
