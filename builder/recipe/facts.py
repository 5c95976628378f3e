# SPDX-License-Identifier: MIT
"""Types of the values in files that builds and releases write: packages, sizes, times, ids.

They are like the types of recipes (builder/recipe/values.py), but wider: dpkg accepts names and versions that a recipe
must not use.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from builder.recipe.values import HIDDEN, text

DebName = Annotated[str, text(r"^[A-Za-z0-9][A-Za-z0-9+._-]*$", "a package name of dpkg")]
DebVersion = Annotated[str, text(r"^[A-Za-z0-9.+:~-]+$", "a package version of dpkg")]
DebArchitecture = Annotated[str, text(r"^[A-Za-z0-9-]+$", "a package architecture of dpkg")]
DebFile = Annotated[str, text(r"^[A-Za-z0-9][A-Za-z0-9+._~%-]*\.deb$", "the name of a .deb, without a directory")]
DebDigest = Annotated[
    str, text(r"^[A-Za-z0-9.+:~-]+ [0-9a-f]{64}$", "the version of a package, a space and 64 hex digits in lower case")
]
"""Version and digest of a package in its archive."""

InputName = Annotated[
    str, text(r"^[a-z][a-z0-9_. +-]*$", "the name of an input: lower-case letters, digits, spaces and _ . + -")
]
InputValue = Annotated[str, text(r"^[ -~]*$", "a digest, a version or a word, in ASCII")]
"""Value of an input; it is only compared."""
ToolName = Annotated[str, text(r"^(tool )?[a-z0-9][a-z0-9+.-]*$", "the name of a Debian package")]
ToolVersion = Annotated[str, text(r"^[A-Za-z0-9.+:~-]*$", "the version of a package, or an empty text")]
LayerName = Annotated[
    str, text(r"^[A-Za-z0-9][A-Za-z0-9.+~_-]*$", "the name of a layer: letters, digits and . + ~ _ -")
]
ImageId = Annotated[
    str, text(r"^((sha256:)?[0-9a-f]{64})?$", "the id of a container image: sha256: and 64 hex digits in lower case")
]
Algorithm = Annotated[str, text(r"^[A-Za-z][A-Za-z0-9_]{0,31}$", "the name of a digest, for example sha256")]
HexDigest = Annotated[str, text(r"^[0-9a-f]*$", "hex digits in lower case")]
Uri = Annotated[
    str,
    text(
        rf"^[^{HIDDEN}]{{0,2048}}$",
        "an address on one line, at most 2048 letters",
        max_length=2048,
    ),
]
"""An address of any kind: pkg:deb/…, git+https://…, unix:///…"""

ByteCount = Annotated[int, Field(ge=0, le=1 << 60)]
Count = Annotated[int, Field(ge=0, le=1 << 40)]
Moment = Annotated[int, Field(ge=0, le=253_402_300_799)]
"""Seconds since 1970, up to the end of the year 9999, the last year of Python's dates."""
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
"""A duration."""
When = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), le=datetime(9999, 12, 30, tzinfo=UTC))]
"""A time with its zone; times without a zone cannot be compared."""
