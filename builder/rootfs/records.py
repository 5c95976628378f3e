# SPDX-License-Identifier: MIT
"""Read and validate the records that the rootfs stage writes for later builds.

Names in these files become paths, and a layer of a shared cache contains its own record. An invalid record counts as
missing: what it describes is built again.
"""

from __future__ import annotations

from typing import Self

from pydantic import ValidationError, model_validator

from builder.recipe.facts import (
    ByteCount,
    Count,
    DebArchitecture,
    DebDigest,
    DebFile,
    DebName,
    DebVersion,
    InputName,
    InputValue,
    LayerName,
)
from builder.recipe.values import AnyText, ArchiveName, FrozenModel, MountPoint, Sha256, Word
from builder.rootfs.apt.resolve import Resolved
from builder.rootfs.apt.supply import Archived, Supply
from builder.rootfs.inputs import Inputs, StageInputs
from builder.rootfs.model import InstalledPackage


class SupplyRecord(FrozenModel):
    """The archives of the packages of a build."""

    archives: dict[DebName, ArchiveName]
    overriding: tuple[DebName, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if strange := set(self.overriding) - set(self.archives):
            raise ValueError(f"overriding: found {min(strange)}; expected a package of `archives`")
        return self

    @property
    def supply(self) -> Supply:
        """The same values as a dataclass of the stage."""
        return Supply(self.archives, self.overriding)


class InputRecord(FrozenModel):
    """The inputs of a layer."""

    inputs: dict[InputName, InputValue]
    packages: dict[DebName, DebDigest]


class TreeRecord(FrozenModel):
    """Description of the trees in a directory (made.json)."""

    is_whole: bool
    below: tuple[LayerName, ...]
    mounts: tuple[MountPoint, ...]
    packages: tuple[tuple[DebName, DebVersion, DebArchitecture, Count], ...]
    origins: dict[Word, InputRecord]
    digest: Sha256
    supply: SupplyRecord

    @property
    def installed(self) -> tuple[InstalledPackage, ...]:
        """All installed packages."""
        return tuple(InstalledPackage(*row) for row in self.packages)

    @property
    def made_from(self) -> StageInputs:
        """The inputs of each layer."""
        return {step: Inputs(origin.inputs, origin.packages) for step, origin in self.origins.items()}


class ArchivedRecord(FrozenModel):
    """A package in its archive."""

    name: DebName
    version: DebVersion
    architecture: DebArchitecture
    file: DebFile
    size_bytes: ByteCount
    sha256: Sha256

    @property
    def archived(self) -> Archived:
        """The same values as a dataclass of the stage."""
        return Archived(self.name, self.version, self.architecture, self.file, self.size_bytes, self.sha256)


class AnswerRecord(FrozenModel):
    """The packages that archives had for a request."""

    releases: list[Sha256]
    pins: AnyText
    base: tuple[ArchivedRecord, ...]
    packages: tuple[ArchivedRecord, ...]
    supply: SupplyRecord

    @property
    def resolved(self) -> Resolved:
        """The same values as a dataclass of the stage."""
        base, packages = (tuple(row.archived for row in rows) for rows in (self.base, self.packages))
        return Resolved(base, packages, self.supply.supply)


class TwinsRecord(FrozenModel):
    """The twin tree of an archive, and digests of the signed indexes that it was made from."""

    sources: Sha256
    releases: list[Sha256]
    tree: LayerName


def load_tree_record(content: bytes) -> TreeRecord | None:
    """Return the record of trees; None for invalid content, such as a file that a crash has truncated."""
    try:
        return TreeRecord.model_validate_json(content)
    except ValidationError:
        return None


def load_answer(content: bytes) -> AnswerRecord | None:
    """Return the packages that archives had; None for invalid content."""
    try:
        return AnswerRecord.model_validate_json(content)
    except ValidationError:
        return None


def load_twins(content: bytes) -> TwinsRecord | None:
    """Return the record of a twin tree; None for invalid content."""
    try:
        return TwinsRecord.model_validate_json(content)
    except ValidationError:
        return None
