# SPDX-License-Identifier: MIT
"""The tag of a release: "v1.0", "v1.1-rc1", "2.0". What it says decides the version, the order and the channels.

A version is one by PEP 440, as the library `packaging` reads it: v1.0-rc1 and v1.0-beta.2 come before v1.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from builder.errors import RecipeError

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""What can also be a directory, a part of an address and a ref of git."""


@dataclass(frozen=True)
class Tag:
    """A tag that is a version."""

    text: str
    """"v1.0"."""
    order: Version
    """What it is compared by."""

    @property
    def version(self) -> str:
        """The version as the packages of the release have it: "1.0"."""
        return bare_version(self.text)

    @property
    def prerelease(self) -> bool:
        """Whether it comes before a release: -rc1, -beta.2, .dev3."""
        return self.order.is_prerelease


def load_tag(text: str) -> Tag:
    """Return a tag; RecipeError when it is no version."""
    tag = find_tag(text)
    if tag is None:
        raise RecipeError(f"the tag {text!r} is no version", hint="name it such as v1.0, or v1.0-rc1 for a pre-release")
    return tag


def find_tag(text: str) -> Tag | None:
    """Return a tag, None when it is no version."""
    try:
        return Tag(text, Version(text)) if _TAG.fullmatch(text) else None
    except InvalidVersion:
        return None


def bare_version(text: str) -> str:
    """Return a version without the v that tags have: of "v1.0" and "1.0" the same."""
    return re.sub(r"^[vV](?=\d)", "", text)
