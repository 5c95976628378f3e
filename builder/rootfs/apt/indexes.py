# SPDX-License-Identifier: MIT
"""The indexes of packages that APT has: where each is, of which archive, and what its signed Release calls itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.recipe.model import Archive

FORMAT = "$(FILENAME)\t$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(ORIGIN)\t$(LABEL)\t$(CODENAME)"
LIST = ("apt-get", "indextargets", "--format", FORMAT, "Created-By: Packages")
"""The command that lists them (apt-get(8))."""
NAME = re.compile(rb"^Package:[ \t]*([^ \t\r\n]+)", re.MULTILINE | re.IGNORECASE)
"""The name in an entry of an index (deb822(5))."""


@dataclass(frozen=True)
class Index:
    """An index of packages."""

    file: str
    url: str
    suite: str
    """As the recipe names it."""
    component: str
    origin: str
    label: str
    codename: str

    def is_of(self, archive: Archive) -> bool:
        """Say whether an archive of a recipe asks for it."""
        is_wanted = self.component in archive.components or not archive.components
        return is_wanted and self.suite in archive.suites and self.url.rstrip("/") == archive.url.rstrip("/")


def read_indexes(text: str) -> tuple[Index, ...]:
    """Return the indexes in the output of LIST, each once."""
    rows = (line.split("\t") for line in text.splitlines() if line.count("\t") == FORMAT.count("\t"))
    return tuple(dict.fromkeys(Index(*fields) for fields in rows))
