# SPDX-License-Identifier: MIT
"""Write and read the provenance of an image: an in-toto statement (v1) with an SLSA predicate (v1).

Formats: github.com/in-toto/attestation, spec/v1/statement.md; slsa.dev/spec/v1.0/provenance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from builder.artefact.build_record import Record
from builder.errors import ReleaseError
from builder.packaging.sbom import Sbom
from builder.recipe.described import load_described
from builder.recipe.facts import Algorithm, HexDigest, Moment, ToolName, ToolVersion, Uri
from builder.recipe.values import (
    ArchiveName,
    BoardName,
    Component,
    FrozenModel,
    Prose,
    Sha256,
    Suite,
    Url,
    Version,
    Word,
)

StatementType = Literal["https://in-toto.io/Statement/v1"]
PredicateType = Literal["https://slsa.dev/provenance/v1"]
STATEMENT: StatementType = "https://in-toto.io/Statement/v1"
PREDICATE: PredicateType = "https://slsa.dev/provenance/v1"
HOME = "https://github.com/boardwright/boardwright"
LONGEST = 2000
"""Maximum length of a URL in the statement; git allows any length for a remote."""
BuildType = Literal["https://github.com/boardwright/boardwright/blob/main/docs/releasing.md#provenance"]
BUILD_TYPE: BuildType = "https://github.com/boardwright/boardwright/blob/main/docs/releasing.md#provenance"


@dataclass(frozen=True)
class SourceCommit:
    """A commit of the repository with the recipes."""

    url: str
    """URL to clone, without credentials; empty without a remote."""
    id: str


class Resource(FrozenModel):
    """A resource (in-toto's ResourceDescriptor): a digest, a name or a URI."""

    name: Prose = ""
    uri: Uri = ""
    digest: dict[Algorithm, HexDigest] = {}


class ArchiveUse(FrozenModel):
    """A package archive that was used."""

    url: Url
    suites: list[Suite]
    components: list[Component]


class Parameters(FrozenModel):
    """External parameters: the request."""

    board: BoardName
    version: Version
    epoch: Moment


class Decisions(FrozenModel):
    """Internal parameters: decisions of the build."""

    suite: Suite
    archives: dict[ArchiveName, ArchiveUse] = {}
    steps: dict[Word, Sha256] = {}


class BuildDefinition(FrozenModel):
    """The parameters of the build, and its inputs."""

    buildType: BuildType  # noqa: N815
    externalParameters: Parameters  # noqa: N815 - a name of the format
    internalParameters: Decisions  # noqa: N815
    resolvedDependencies: list[Resource] = []  # noqa: N815


class Builder(FrozenModel):
    """The builder, with its tools."""

    id: Url
    version: dict[ToolName, ToolVersion] = {}
    builderDependencies: list[Resource] = []  # noqa: N815


class Metadata(FrozenModel):
    """The id of the build."""

    invocationId: Uri  # noqa: N815


class RunDetails(FrozenModel):
    """The run of the build."""

    builder: Builder
    metadata: Metadata | None = None


class Predicate(FrozenModel):
    """SLSA provenance."""

    buildDefinition: BuildDefinition  # noqa: N815
    runDetails: RunDetails  # noqa: N815


class Statement(FrozenModel):
    """A statement about files."""

    type: StatementType = Field(alias="_type")
    subject: list[Resource] = Field(min_length=1)
    predicateType: PredicateType  # noqa: N815
    predicate: Predicate

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the subjects by name."""
        return {subject.name: subject.digest.get("sha256", "") for subject in self.subject}

    @property
    def parameters(self) -> Parameters:
        """The external parameters."""
        return self.predicate.buildDefinition.externalParameters


def render_provenance(
    sbom: Sbom, board: str, subjects: Mapping[str, str], record: Record | None, commit: SourceCommit | None
) -> str:
    """Return the statement.

    subjects  SHA-256 by file name
    record    the record of the build; without it the statement has no tools and no digests of packages
    commit    commit of the recipe; None if it is not certain
    """
    definition = BuildDefinition(
        buildType=BUILD_TYPE,
        externalParameters=Parameters(board=board, version=sbom.version, epoch=sbom.epoch),
        internalParameters=_describe_build(record) if record else Decisions(suite=sbom.suite),
        resolvedDependencies=[*_find_commit(commit), *_list_packages(sbom), *_list_downloads(record)],
    )
    statement = Statement(
        _type=STATEMENT,
        subject=[Resource(name=name, digest={"sha256": sha256}) for name, sha256 in subjects.items()],
        predicateType=PREDICATE,
        predicate=Predicate(buildDefinition=definition, runDetails=_describe_run(sbom, record)),
    )
    return statement.model_dump_json(indent=1, by_alias=True, exclude_unset=True) + "\n"


def _describe_build(record: Record) -> Decisions:
    archives = {
        archive.name: ArchiveUse(url=archive.url, suites=archive.suites, components=archive.components)
        for archive in record.archives
    }
    return Decisions(suite=record.suite, archives=archives, steps=record.steps)


def _describe_run(sbom: Sbom, record: Record | None) -> RunDetails:
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
        metadata=Metadata(invocationId=sbom.make_uuid("build").urn),
    )


def _find_commit(commit: SourceCommit | None) -> list[Resource]:
    if commit is None:
        return []
    uri = {"uri": f"git+{commit.url}"} if commit.url.isprintable() and 0 < len(commit.url) < LONGEST else {}
    return [Resource(name="recipe", digest={"gitCommit": commit.id}, **uri)]


def _list_packages(sbom: Sbom) -> list[Resource]:
    return [
        Resource(
            name=f"{package.name} {package.version}",
            uri=package.purl(sbom.suite).to_string(),
            **({"digest": {"sha256": package.sha256}} if package.sha256 else {}),
        )
        for package in sbom.packages
    ]


def _list_downloads(record: Record | None) -> Sequence[Resource]:
    rows = record.downloads if record else []
    return [Resource(uri=row.url, digest={"sha256": row.sha256}) for row in rows]


def read_provenance(text: str | bytes) -> Statement:
    """Return a statement; raise ReleaseError if it is not in our format."""
    return load_described(Statement, text, "the provenance", error=ReleaseError, hint="package the image again")
