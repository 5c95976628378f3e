# SPDX-License-Identifier: MIT
"""List the package indexes that APT has: file, archive, and the names in the archive's signed Release."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.recipe.model import Archive

FORMAT = "$(FILENAME)\t$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(ORIGIN)\t$(LABEL)\t$(CODENAME)"
LIST = ("apt-get", "indextargets", "--format", FORMAT, "Created-By: Packages")
"""Command that lists the indexes (apt-get(8))."""
NAME = re.compile(rb"^Package:[ \t]*([^ \t\r\n]+)", re.MULTILINE | re.IGNORECASE)
"""Package name in an entry of an index (deb822(5))."""


@dataclass(frozen=True)
class Index:
    """A package index."""

    file: str
    url: str
    suite: str
    """Suite, as in the recipe."""
    component: str
    origin: str
    label: str
    codename: str

    def is_of(self, archive: Archive) -> bool:
        """Return True if the index belongs to an archive of a recipe."""
        is_wanted = self.component in archive.components or not archive.components
        return is_wanted and self.suite in archive.suites and self.url.rstrip("/") == archive.url.rstrip("/")


def read_indexes(text: str) -> tuple[Index, ...]:
    """Return the indexes in the output of LIST, without duplicates."""
    rows = (line.split("\t") for line in text.splitlines() if line.count("\t") == FORMAT.count("\t"))
    return tuple(dict.fromkeys(Index(*fields) for fields in rows))
