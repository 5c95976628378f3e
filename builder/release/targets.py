# SPDX-License-Identifier: MIT
"""Table of the kinds of targets of `--to`: one row for each. A new kind is a module with a publisher, and a row.

Targets are published in the order of the rows: the one that notifies people first, those that programs poll last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from builder.errors import RecipeError
from builder.recipe.phrases import join_options
from builder.release.target import Publisher, PublisherConfig
from builder.rows import RowEnum


class TargetModule(Protocol):
    """A module with the publisher of a kind of target."""

    def make_publisher(self, text: str, config: PublisherConfig) -> Publisher:
        """Return the target of an address; raise RecipeError for an invalid one."""


@dataclass(frozen=True)
class TargetRow:
    """Properties of a kind of target."""

    address: str
    """Its address in messages and in --help; what a user fills in is in upper case."""
    module: str
    """Module of this folder with its publisher. It is imported when it is used: the library for buckets is large."""
    has_url: bool = False
    """True if its files have a public URL, which --public-url names."""

    @property
    def prefix(self) -> str:
        """Start of its address: "s3://"."""
        return re.split("[A-Z]", self.address)[0]


class TargetKind(RowEnum):
    """The text of an address before the first colon; `row` has its properties."""

    row: TargetRow

    GITHUB = ("github", TargetRow("github:OWNER/REPO", "github"))
    S3 = ("s3", TargetRow("s3://BUCKET/PREFIX", "bucket", has_url=True))
    DIR = ("dir", TargetRow("dir:PATH", "directory", has_url=True))


ADDRESSES = join_options(kind.row.address for kind in TargetKind)
WITH_URL = join_options(kind.row.prefix for kind in TargetKind if kind.row.has_url)


def make_publishers(texts: Sequence[str], config: PublisherConfig) -> list[Publisher]:
    """Return the targets of --to, in the order of publishing; raise RecipeError for an invalid one."""
    if not texts:
        raise RecipeError("--to: missing; expected a target", hint=f"use {ADDRESSES}; repeat --to for several targets")
    kinds = {text: _find_kind(text) for text in texts}
    order = list(TargetKind)
    ordered = sorted(kinds.items(), key=lambda item: order.index(item[1]))
    return [_load(kind).make_publisher(text, config) for text, kind in ordered]


def _find_kind(text: str) -> TargetKind:
    name, colon, _ = text.partition(":")
    kind = next((kind for kind in TargetKind if colon and kind == name), None)
    if kind is None:
        shown = re.sub(r"//[^/@]*@", "//***@", text)  # Hides credentials.
        raise RecipeError(f"--to: found {shown!r}; expected {ADDRESSES}", hint="change the argument of --to")
    return kind


def _load(kind: TargetKind) -> TargetModule:
    return cast(TargetModule, import_module(f"builder.release.{kind.row.module}"))
