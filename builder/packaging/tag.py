# SPDX-License-Identifier: MIT
"""Parse the tag of a release: "v1.0", "v1.1-rc1", "2.0". It decides the version, the order and the channels.

Versions follow PEP 440, as in the library `packaging`: v1.0-rc1 and v1.0-beta.2 come before v1.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from builder.errors import RecipeError

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""Texts that are also valid as a directory, a part of a URL and a git ref."""


@dataclass(frozen=True)
class Tag:
    """A tag that is a version."""

    text: str
    """"v1.0"."""
    order: Version
    """Parsed version, for comparisons."""

    @property
    def version(self) -> str:
        """Version of the release's packages: "1.0"."""
        return bare_version(self.text)

    @property
    def prerelease(self) -> bool:
        """True for a pre-release: -rc1, -beta.2, .dev3."""
        return self.order.is_prerelease


def load_tag(text: str) -> Tag:
    """Return a tag; raise RecipeError if it is not a version."""
    tag = find_tag(text)
    if tag is None:
        raise RecipeError(f"tag: found {text!r}; expected a version", hint="use v1.0, or v1.0-rc1 for a pre-release")
    return tag


def find_tag(text: str) -> Tag | None:
    """Return a tag, or None if it is not a version."""
    try:
        return Tag(text, Version(text)) if _TAG.fullmatch(text) else None
    except InvalidVersion:
        return None


def bare_version(text: str) -> str:
    """Return a version without the v of tags: "1.0" for "v1.0" and "1.0"."""
    return re.sub(r"^[vV](?=\d)", "", text)
