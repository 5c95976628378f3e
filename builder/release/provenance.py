# SPDX-License-Identifier: MIT
"""Where an image came from: an in-toto statement (v1) with SLSA provenance (v1), as plain data of these forms.

Formats: github.com/in-toto/attestation, spec/v1/statement.md; slsa.dev/spec/v1.0/provenance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builder.errors import ReleaseError
from builder.release.bill import Bill
from builder.release.record import Record

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
HOME = "https://github.com/boardwright/boardwright"
BuildType = Literal["https://github.com/boardwright/boardwright/blob/main/docs/releasing.md#provenance"]
BUILD_TYPE: BuildType = "https://github.com/boardwright/boardwright/blob/main/docs/releasing.md#provenance"


@dataclass(frozen=True)
class Commit:
    """A commit of the repository that holds the recipes."""

    url: str
    """Where it can be cloned from, without credentials; empty when it has no remote."""
    id: str


class Resource(BaseModel):
    """Something with a digest, or at least a name or an address."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    uri: str = ""
    digest: dict[str, str] = {}


class BuildDefinition(BaseModel):
    """What was asked for, and what it was made from."""

    buildType: BuildType  # noqa: N815
    externalParameters: dict[str, Any]  # noqa: N815 - the names are those of the format
    internalParameters: dict[str, Any] = {}  # noqa: N815
    resolvedDependencies: list[Resource] = []  # noqa: N815


class Builder(BaseModel):
    """Who made it."""

    id: str
    version: dict[str, str] = {}
    builderDependencies: list[Resource] = []  # noqa: N815


class RunDetails(BaseModel):
    """How it was made."""

    builder: Builder
    metadata: dict[str, str] = {}


class Predicate(BaseModel):
    """SLSA provenance."""

    buildDefinition: BuildDefinition  # noqa: N815
    runDetails: RunDetails  # noqa: N815


class Statement(BaseModel):
    """A statement about files."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[Resource] = Field(min_length=1)
    predicateType: Literal["https://slsa.dev/provenance/v1"]  # noqa: N815
    predicate: Predicate

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each subject by its name."""
        return {each.name: each.digest.get("sha256", "") for each in self.subject}

    @property
    def parameters(self) -> dict[str, Any]:
        """What was asked for."""
        return self.predicate.buildDefinition.externalParameters


def render_provenance(
    bill: Bill, board: str, subjects: Mapping[str, str], record: Record | None, commit: Commit | None
) -> str:
    """Return the statement.

    subjects  SHA-256 by file name
    record    what the build wrote down; without it no package but by name and version, and nothing of the builder
    commit    of the recipe, where it is known to be that
    """
    definition = BuildDefinition(
        buildType=BUILD_TYPE,
        externalParameters={"board": board, "version": bill.version, "epoch": bill.epoch},
        internalParameters=_describe_build(record) if record else {"suite": bill.suite},
        resolvedDependencies=[*_find_commit(commit), *_list_packages(bill), *_list_downloads(record)],
    )
    statement = Statement(
        _type=STATEMENT,
        subject=[Resource(name=name, digest={"sha256": sha256}) for name, sha256 in subjects.items()],
        predicateType=PREDICATE,
        predicate=Predicate(buildDefinition=definition, runDetails=_describe_run(bill, record)),
    )
    return statement.model_dump_json(indent=1, by_alias=True, exclude_unset=True) + "\n"


def _describe_build(record: Record) -> dict[str, Any]:
    archives = {each.name: each.model_dump(exclude={"name"}) for each in record.archives}
    return {"suite": record.suite, "archives": archives, "steps": record.steps}


def _describe_run(bill: Bill, record: Record | None) -> RunDetails:
    if record is None:
        return RunDetails(builder=Builder(id=HOME, version={}))
    image = record.builder_image.removeprefix("sha256:")
    return RunDetails(
        builder=Builder(
            id=HOME,
            version={
                "boardwright": record.program,
                **{name.removeprefix("tool "): v for name, v in record.tools.items() if v},
            },
            builderDependencies=[Resource(name="builder image", digest={"sha256": image})] if image else [],
        ),
        metadata={"invocationId": bill.make_uuid("build").urn},
    )


def _find_commit(commit: Commit | None) -> list[Resource]:
    if commit is None:
        return []
    uri = {"uri": f"git+{commit.url}"} if commit.url else {}
    return [Resource(name="recipe", digest={"gitCommit": commit.id}, **uri)]


def _list_packages(bill: Bill) -> list[Resource]:
    return [
        Resource(
            name=f"{each.name} {each.version}",
            uri=each.purl(bill.suite).to_string(),
            **({"digest": {"sha256": each.sha256}} if each.sha256 else {}),
        )
        for each in bill.packages
    ]


def _list_downloads(record: Record | None) -> Sequence[Resource]:
    rows = record.downloads if record else []
    return [Resource(uri=each.url, digest={"sha256": each.sha256}) for each in rows]


def read_provenance(text: str) -> Statement:
    """Return a statement; ReleaseError when it is none of ours."""
    try:
        return Statement.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ReleaseError(f"the provenance: {place}: {first['msg']}", hint="package the image again") from None
