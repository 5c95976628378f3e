# SPDX-License-Identifier: MIT
"""Where the public finds the files of the releases, and the catalogue's own."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from builder.errors import ReleaseError


@dataclass(frozen=True)
class Addresses:
    """Public addresses, without a slash at their end.

    A tree has <releases>/<tag>/<board>/<file>, and the catalogue lies beside the tags. GitHub has no directories:
    there `flat` is set, and `releases` is https://github.com/OWNER/REPO/releases/download.
    """

    releases: str = ""
    """Directory of the releases; empty: nobody knows it yet, and only relative links can be made."""
    flat: bool = False
    catalogue: str = ""
    """Directory of os-list.json and the others, where it is another one."""

    def __post_init__(self) -> None:
        for address in (self.releases, self.catalogue):
            parts = urlsplit(address)
            if address and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query):
                hint = "such as https://images.example.org/os"
                raise ReleaseError(f"{address} is no public address of a directory", hint=hint)

    @property
    def public(self) -> bool:
        """Whether programs elsewhere can be told where things are."""
        return bool(self.releases)

    def file(self, tag: str, board: str, name: str) -> str:
        """Return where a file of a release is, in full."""
        return f"{self.releases}/{self._below(tag, board, name)}"

    def own(self, name: str) -> str:
        """Return where a file of the catalogue is, in full."""
        return f"{self.catalogue or self.releases}/{quote(name)}"

    def link(self, tag: str, board: str, name: str) -> str:
        """Return what the page says for a file of a release: relative where it can be, so that a copy works too."""
        relative = not self.flat and not self.catalogue
        return self._below(tag, board, name) if relative else self.file(tag, board, name)

    def _below(self, tag: str, board: str, name: str) -> str:
        return "/".join(map(quote, (tag, name) if self.flat else (tag, board, name)))
