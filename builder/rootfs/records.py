# SPDX-License-Identifier: MIT
"""What the rootfs stage writes down for later builds, as it is read again.

Names in these files become paths, and a layer of a shared cache brings its own file. One that is not as it should be
is none: what it describes is made again.
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
from builder.recipe.values import AnyText, ArchiveName, Frozen, MountPoint, Sha256, Word
from builder.rootfs.apt.resolve import Resolved
from builder.rootfs.apt.supply import Archived, Supply
from builder.rootfs.inputs import Origin, Origins
from builder.rootfs.model import Package


class SupplyRecord(Frozen):
    """Where the packages of a build came from."""

    archives: dict[DebName, ArchiveName]
    overriding: tuple[DebName, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if strange := set(self.overriding) - set(self.archives):
            raise ValueError(f"{min(strange)} is of no archive")
        return self

    @property
    def supply(self) -> Supply:
        """The same as the stage has it."""
        return Supply(self.archives, self.overriding)


class OriginRecord(Frozen):
    """What a step was made from."""

    inputs: dict[InputName, InputValue]
    packages: dict[DebName, DebDigest]


class TreeRecord(Frozen):
    """What the trees of a directory are (made.json)."""

    is_whole: bool
    below: tuple[LayerName, ...]
    mounts: tuple[MountPoint, ...]
    packages: tuple[tuple[DebName, DebVersion, DebArchitecture, Count], ...]
    origins: dict[Word, OriginRecord]
    digest: Sha256
    supply: SupplyRecord

    @property
    def installed(self) -> tuple[Package, ...]:
        """All packages."""
        return tuple(Package(*row) for row in self.packages)

    @property
    def made_from(self) -> Origins:
        """What each step was made from."""
        return {step: Origin(origin.inputs, origin.packages) for step, origin in self.origins.items()}


class ArchivedRecord(Frozen):
    """A package as its archive has it."""

    name: DebName
    version: DebVersion
    architecture: DebArchitecture
    file: DebFile
    size_bytes: ByteCount
    sha256: Sha256

    @property
    def archived(self) -> Archived:
        """The same as the stage has it."""
        return Archived(self.name, self.version, self.architecture, self.file, self.size_bytes, self.sha256)


class AnswerRecord(Frozen):
    """What archives had for a list of packages."""

    releases: list[Sha256]
    pins: AnyText
    base: tuple[ArchivedRecord, ...]
    packages: tuple[ArchivedRecord, ...]
    supply: SupplyRecord

    @property
    def resolved(self) -> Resolved:
        """The same as the stage has it."""
        base, packages = (tuple(each.archived for each in rows) for rows in (self.base, self.packages))
        return Resolved(base, packages, self.supply.supply)


class TwinsRecord(Frozen):
    """Which twin tree an archive had, and of which signed indexes."""

    sources: Sha256
    releases: list[Sha256]
    tree: LayerName


def load_tree_record(content: bytes) -> TreeRecord | None:
    """Return what trees are; None for a file that does not say it, such as one that a crash has cut short."""
    try:
        return TreeRecord.model_validate_json(content)
    except ValidationError:
        return None


def load_answer(content: bytes) -> AnswerRecord | None:
    """Return what archives had; None as for trees."""
    try:
        return AnswerRecord.model_validate_json(content)
    except ValidationError:
        return None


def load_twins(content: bytes) -> TwinsRecord | None:
    """Return which twin tree there was; None as for trees."""
    try:
        return TwinsRecord.model_validate_json(content)
    except ValidationError:
        return None
