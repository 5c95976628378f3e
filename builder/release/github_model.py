# SPDX-License-Identifier: MIT
"""What GitHub's API describes, as far as it is looked at: https://docs.github.com/rest/releases.

Ids and names become parts of paths, and all of it is shown. What is not named here is left alone.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from builder.recipe.facts import ByteCount, Uri
from builder.recipe.values import AnyText, Frozen, Prose, Url, Word, text

Id = Annotated[int, Field(ge=0, lt=1 << 63)]
FullName = Annotated[
    str, text(r"^[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*$", "owner/name of a repository")
]
ObjectId = Annotated[str, text(r"^[0-9a-f]{40,64}$", "the id of an object of git")]
Digest = Annotated[str, text(r"^[A-Za-z0-9]*(:[0-9A-Fa-f]*)?$", "the name of a digest, a colon and hex digits")]


class Part(Frozen, extra="ignore"):
    """A part of what GitHub says."""


class Asset(Part):
    """A file of a release."""

    id: Id
    name: Prose
    state: Word
    size: ByteCount
    digest: Digest | None = None
    """None where the server is too old to know it."""


class ListedAsset(Part):
    """A file of a release that is listed."""

    name: Prose


class Listed(Part):
    """A release as a list for everybody has it."""

    tag_name: AnyText
    draft: bool = False
    assets: list[ListedAsset] = []


class Found(Part):
    """A release, draft or public."""

    id: Id
    tag_name: AnyText
    draft: bool
    immutable: bool = False
    name: AnyText | None = None
    body: AnyText | None = None
    html_url: Url
    upload_url: Uri
    """With the names of parameters in braces at its end."""


class Repository(Part):
    """A repository."""

    full_name: FullName


class Target(Part):
    """What a ref leads to."""

    sha: ObjectId


class Ref(Part):
    """A ref of git."""

    object: Target


class Fault(Part):
    """What is wrong with a part of a request."""

    field: AnyText | None = None
    code: AnyText | None = None
    message: AnyText | None = None


class Refusal(Part):
    """An answer that is no success."""

    message: AnyText = ""
    errors: list[Fault] = []

    @property
    def words(self) -> str:
        """All of it."""
        parts = [" ".join(filter(None, (fault.field, fault.code, fault.message))) for fault in self.errors]
        return ": ".join(filter(None, (self.message, ", ".join(parts))))
