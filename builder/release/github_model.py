# SPDX-License-Identifier: MIT
"""Models of responses of GitHub's API, with the fields that are used: https://docs.github.com/rest/releases.

Ids and names become parts of paths, and all texts are printed. So they are validated. Other fields are ignored.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from builder.recipe.facts import ByteCount, Uri
from builder.recipe.values import AnyText, FrozenModel, Prose, Url, Word, text

Id = Annotated[int, Field(ge=0, lt=1 << 63)]
FullName = Annotated[
    str, text(r"^[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*$", "owner/name of a repository")
]
ObjectId = Annotated[str, text(r"^[0-9a-f]{40,64}$", "the id of an object of git")]
Digest = Annotated[str, text(r"^[A-Za-z0-9]*(:[0-9A-Fa-f]*)?$", "the name of a digest, a colon and hex digits")]


class ApiObject(FrozenModel, extra="ignore"):
    """A part of a response."""


class Asset(ApiObject):
    """A file of a release."""

    id: Id
    name: Prose
    state: Word
    size: ByteCount
    digest: Digest | None = None
    """None from an old server."""


class ListedAsset(ApiObject):
    """A file of a release in the public list."""

    name: Prose


class ListedRelease(ApiObject):
    """A release in the public list."""

    tag_name: AnyText
    draft: bool = False
    assets: list[ListedAsset] = []


class FoundRelease(ApiObject):
    """A release, draft or public."""

    id: Id
    tag_name: AnyText
    draft: bool
    immutable: bool = False
    name: AnyText | None = None
    body: AnyText | None = None
    html_url: Url
    upload_url: Uri
    """URI template (RFC 6570), with parameters in braces at its end."""


class ApiRepository(ApiObject):
    """A repository."""

    full_name: FullName


class CommitTarget(ApiObject):
    """The object that a ref points to."""

    sha: ObjectId


class GitRef(ApiObject):
    """A git ref."""

    object: CommitTarget


class ApiFault(ApiObject):
    """An error in one part of a request."""

    field: AnyText | None = None
    code: AnyText | None = None
    message: AnyText | None = None


class Refusal(ApiObject):
    """An error response."""

    message: AnyText = ""
    errors: list[ApiFault] = []

    @property
    def text(self) -> str:
        """The whole error as one text."""
        parts = [" ".join(filter(None, (fault.field, fault.code, fault.message))) for fault in self.errors]
        return ": ".join(filter(None, (self.message, ", ".join(parts))))
