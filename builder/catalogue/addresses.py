# SPDX-License-Identifier: MIT
"""Public URLs of the files of releases and of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from builder.errors import ReleaseError


@dataclass(frozen=True)
class Addresses:
    """Public base URLs, without a slash at the end.

    A tree has <releases>/<tag>/<board>/<file>, with the catalogue beside the tags. GitHub has no directories: there
    `flat` is set, and `releases` is https://github.com/OWNER/REPO/releases/download.
    """

    releases: str = ""
    """Directory of the releases; empty: not known yet, so links are relative."""
    flat: bool = False
    catalogue: str = ""
    """Directory of the catalogue's files, if it is not `releases`."""

    def __post_init__(self) -> None:
        for address in (self.releases, self.catalogue):
            parts = urlsplit(address)
            if address and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query):
                hint = "give one such as https://images.example.org/os"
                raise ReleaseError(f"found the address {address}; expected an http(s) URL without a query", hint=hint)

    @property
    def public(self) -> bool:
        """True if absolute URLs are known."""
        return bool(self.releases)

    def file(self, tag: str, board: str, name: str) -> str:
        """Return the absolute URL of a file of a release."""
        return f"{self.releases}/{self._below(tag, board, name)}"

    def catalogue_file(self, name: str) -> str:
        """Return the absolute URL of a file of the catalogue."""
        return f"{self.catalogue or self.releases}/{quote(name)}"

    def link(self, tag: str, board: str, name: str) -> str:
        """Return the page's link to a file of a release: relative if possible, so that a copied page works too."""
        relative = not self.flat and not self.catalogue
        return self._below(tag, board, name) if relative else self.file(tag, board, name)

    def _below(self, tag: str, board: str, name: str) -> str:
        return "/".join(map(quote, (tag, name) if self.flat else (tag, board, name)))
