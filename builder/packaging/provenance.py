# SPDX-License-Identifier: MIT
"""Where an image came from: an in-toto statement (v1) with SLSA provenance (v1), as plain data of these forms.

Formats: github.com/in-toto/attestation, spec/v1/statement.md; slsa.dev/spec/v1.0/provenance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from builder.artefact.build_record import Record
from builder.errors import ReleaseError
from builder.packaging.sbom import Bill
from builder.recipe.described import load_described
from builder.recipe.facts import Algorithm, HexDigest, Moment, ToolName, ToolVersion, Uri
from builder.recipe.values import ArchiveName, BoardName, Component, Frozen, Prose, Sha256, Suite, Url, Version, Word

StatementType = Literal["https://in-toto.io/Statement/v1"]
PredicateType = Literal["https://slsa.dev/provenance/v1"]
STATEMENT: StatementType = "https://in-toto.io/Statement/v1"
PREDICATE: PredicateType = "https://slsa.dev/provenance/v1"
HOME = "https://github.com/boardwright/boardwright"
LONGEST = 2000
"""Letters of an address that is named; git takes any as a remote."""
BuildType = Literal["https://github.com/boardwright/boardwright/blob/main/docs/releasing.md#provenance"]
BUILD_TYPE: BuildType = "https://github.com/boardwright/boardwright/blob/main/docs/releasing.md#provenance"


@dataclass(frozen=True)
class Commit:
    """A commit of the repository that holds the recipes."""

    url: str
    """Where it can be cloned from, without credentials; empty when it has no remote."""
    id: str


class Resource(Frozen):
    """Something with a digest, or at least a name or an address."""

    name: Prose = ""
    uri: Uri = ""
    digest: dict[Algorithm, HexDigest] = {}


class ArchiveUse(Frozen):
    """A package archive that was used."""

    url: Url
    suites: list[Suite]
    components: list[Component]


class Parameters(Frozen):
    """What was asked for."""

    board: BoardName
    version: Version
    epoch: Moment


class Decisions(Frozen):
    """What the build decided by itself."""

    suite: Suite
    archives: dict[ArchiveName, ArchiveUse] = {}
    steps: dict[Word, Sha256] = {}


class BuildDefinition(Frozen):
    """What was asked for, and what it was made from."""

    buildType: BuildType  # noqa: N815
    externalParameters: Parameters  # noqa: N815 - the names are those of the format
    internalParameters: Decisions  # noqa: N815
    resolvedDependencies: list[Resource] = []  # noqa: N815


class Builder(Frozen):
    """Who made it."""

    id: Url
    version: dict[ToolName, ToolVersion] = {}
    builderDependencies: list[Resource] = []  # noqa: N815


class Metadata(Frozen):
    """Which build it was."""

    invocationId: Uri  # noqa: N815


class RunDetails(Frozen):
    """How it was made."""

    builder: Builder
    metadata: Metadata | None = None


class Predicate(Frozen):
    """SLSA provenance."""

    buildDefinition: BuildDefinition  # noqa: N815
    runDetails: RunDetails  # noqa: N815


class Statement(Frozen):
    """A statement about files."""

    type: StatementType = Field(alias="_type")
    subject: list[Resource] = Field(min_length=1)
    predicateType: PredicateType  # noqa: N815
    predicate: Predicate

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each subject by its name."""
        return {each.name: each.digest.get("sha256", "") for each in self.subject}

    @property
    def parameters(self) -> Parameters:
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
        externalParameters=Parameters(board=board, version=bill.version, epoch=bill.epoch),
        internalParameters=_describe_build(record) if record else Decisions(suite=bill.suite),
        resolvedDependencies=[*_find_commit(commit), *_list_packages(bill), *_list_downloads(record)],
    )
    statement = Statement(
        _type=STATEMENT,
        subject=[Resource(name=name, digest={"sha256": sha256}) for name, sha256 in subjects.items()],
        predicateType=PREDICATE,
        predicate=Predicate(buildDefinition=definition, runDetails=_describe_run(bill, record)),
    )
    return statement.model_dump_json(indent=1, by_alias=True, exclude_unset=True) + "\n"


def _describe_build(record: Record) -> Decisions:
    archives = {
        each.name: ArchiveUse(url=each.url, suites=each.suites, components=each.components) for each in record.archives
    }
    return Decisions(suite=record.suite, archives=archives, steps=record.steps)


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
        metadata=Metadata(invocationId=bill.make_uuid("build").urn),
    )


def _find_commit(commit: Commit | None) -> list[Resource]:
    if commit is None:
        return []
    uri = {"uri": f"git+{commit.url}"} if commit.url.isprintable() and 0 < len(commit.url) < LONGEST else {}
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


def read_provenance(text: str | bytes) -> Statement:
    """Return a statement; ReleaseError when it is none of ours."""
    return load_described(Statement, text, "the provenance", error=ReleaseError, hint="package the image again")
