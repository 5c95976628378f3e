# SPDX-License-Identifier: MIT
"""systemd's units of a tree: enabled units and their programs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cached_property

from builder.disk.entry import Entry
from builder.disk.filetree import FileTree

PLACES = ("/etc/systemd/system", "/usr/lib/systemd/system")
"""Directories of units, in order of priority."""
PREFIXES = "@-:+!|"
"""Prefixes of a program in ExecStart= (systemd.service(5))."""


class Services:
    """The units of a tree."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree

    def find(self, name: str) -> Entry | None:
        """Return the file of a unit; for an instance, that of its template."""
        names = [name, re.sub(r"@.+\.", "@.", name)] if "@" in name else [name]
        paths = [f"{directory}/{file}" for file in names for directory in PLACES]
        return next((entry for path in paths if (entry := self._tree.find(path))), None)

    @cached_property
    def enabled(self) -> frozenset[str]:
        """Names of the enabled units: they have a link in a .wants or .requires directory of /etc."""
        kinds = ("wants", "requires")
        links = (entry for kind in kinds for entry in self._tree.glob(f"/etc/systemd/system/*.{kind}/*"))
        return frozenset(entry.path.rpartition("/")[2] for entry in links)

    def is_enabled(self, name: str) -> bool:
        """Return whether a unit is started at boot or by another unit, and is not masked."""
        mask = self._tree.find(f"/etc/systemd/system/{name}", follow=False)
        return name in self.enabled and not (mask and mask.target == "/dev/null")

    @cached_property
    def missing_programs(self) -> list[str]:
        """Programs of enabled services that do not exist."""
        return [
            f"{name}: {program}"
            for name in sorted(self.enabled)
            for program in self._programs(name)
            if self._tree.find(program) is None
        ]

    def _programs(self, name: str) -> Iterator[str]:
        unit = self.find(name)
        text = unit.read().decode(errors="replace") if unit else ""
        for line in re.findall(r"^ExecStart(?:Pre|Post)?=(.*)$", text, re.MULTILINE):
            program = line.lstrip(PREFIXES).split(" ")[0]
            if not line.startswith("-") and program.startswith("/") and "%" not in program:
                yield _unquote(program)


def _unquote(word: str) -> str:
    """Return a word without its quotes; unchanged if they do not match, which systemd rejects."""
    try:
        return shlex.split(word)[0]
    except ValueError:
        return word
