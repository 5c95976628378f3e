# SPDX-License-Identifier: MIT
"""The small values that recipes are made of: names, sizes, digests, addresses, and what is allowed in each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from builder.units import load_size


class Frozen(BaseModel):
    """Base of all recipe types: no unknown keys, no silent conversion, no change after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Architecture(StrEnum):
    """Debian's names of processor architectures."""

    AMD64 = "amd64"
    ARM64 = "arm64"
    ARMHF = "armhf"
    ARMEL = "armel"
    RISCV64 = "riscv64"


def _check_size(text: str) -> str:
    load_size(text)
    return text


Size = Annotated[str, AfterValidator(_check_size), Field(examples=["512MiB", "8KiB", "16s"])]
Hostname = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
UserName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
GroupName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*(@[a-z][a-z0-9-]*)?$")]
PackageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+(/[a-z0-9-]+)?$")]
"""A Debian package, optionally with the suite to take it from: linux-image-arm64/trixie-backports."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fingerprint = Annotated[str, Field(pattern=r"^([0-9A-F]{4} ?){10}$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+([/?#]\S*)?$")]
"""An address without user and password: whatever stands in a recipe is in images and records too."""
RelativePath = Annotated[str, Field(min_length=1)]
