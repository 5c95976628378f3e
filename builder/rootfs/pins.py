# SPDX-License-Identifier: MIT
"""APT's priorities for the archives that ask for another than its own.

A pin holds for what an archive calls itself in its signed Release, and not for a host: deb.debian.org has trixie and
trixie-backports, and a pin for one of them must not reach the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from builder import log
from builder.recipe.model import Archive

FORMAT = "$(REPO_URI)\t$(RELEASE)\t$(ORIGIN)\t$(LABEL)\t$(CODENAME)"
"""What `apt-get indextargets` is to tell of each index."""
PLAIN = re.compile(r"[A-Za-z0-9 ._:+~-]+")
"""What a value may be: apt takes a comma for the next condition, and * ? [ / for a pattern."""


@dataclass(frozen=True)
class Released:
    """A suite of an archive, as its Release calls it."""

    url: str
    suite: str
    """As the recipe names it."""
    origin: str
    label: str
    codename: str

    @property
    def conditions(self) -> str:
        """What apt_preferences says of it; empty where its Release has nothing that may stand there."""
        fields = {"o": self.origin, "l": self.label, "n": self.codename}
        return ",".join(f"{key}={value}" for key, value in fields.items() if PLAIN.fullmatch(value))


def read_released(text: str) -> tuple[Released, ...]:
    """Return the suites in what `apt-get indextargets --format FORMAT` has said, each once."""
    found = (line.split("\t") for line in text.splitlines() if line.count("\t") == FORMAT.count("\t"))
    return tuple(dict.fromkeys(Released(*fields) for fields in found))


def render_pins(archives: Mapping[str, Archive], released: Sequence[Released]) -> str:
    """Return apt_preferences for the archives that ask for another priority than APT's own.

    Warns where a pin reaches another archive too, because both call themselves the same.
    """
    stanzas = []
    for name, archive in archives.items():
        if archive.pin is None:
            continue
        conditions = _find_conditions(archive, released)
        for other in (each for each in archives if archives[each].pin != archive.pin):
            for shared in sorted(conditions & _find_conditions(archives[other], released)):
                log.warn(f"archives.{name}: its pin holds for archives.{other} too: both are {shared}")
        pins = [f"release {each}" for each in sorted(conditions)]
        if not pins:
            host = urlsplit(archive.url).hostname or ""
            log.warn(f"archives.{name}: its Release does not say what it is; its pin holds for all of {host}")
            pins = [f'origin "{host}"']
        stanzas += [f"Package: *\nPin: {pin}\nPin-Priority: {archive.pin}\n" for pin in pins]
    return "\n".join(stanzas)


def _find_conditions(archive: Archive, released: Sequence[Released]) -> set[str]:
    url = archive.url.rstrip("/")
    own = (each for each in released if each.url.rstrip("/") == url and each.suite in archive.suites)
    return {each.conditions for each in own if each.conditions}
