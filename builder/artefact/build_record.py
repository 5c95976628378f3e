# SPDX-License-Identifier: MIT
"""Build record: all inputs of an image, written by its build to OUTPUT/<name>.build.json.

It cannot be reconstructed later, because archives, recipe and tools change. Provenance is made from it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from builder import __version__
from builder.errors import ReleaseError
from builder.plan.model import Plan
from builder.recipe.described import load_described
from builder.recipe.facts import DebName, DebVersion, ImageId, InputName, InputValue, Moment, ToolName, ToolVersion
from builder.recipe.values import ArchiveName, BoardName, Component, FrozenModel, Sha256, Suite, Url, Version, Word
from builder.system.fingerprint import find_versions

SUFFIX = ".build.json"
TOOLS = ("mmdebstrap", "apt", "dpkg", "e2fsprogs", "mtools", "dosfstools", "fdisk")
"""Debian packages of the programs that make an image."""
BUILDER_IMAGE = "BOARDWRIGHT_BUILDER_IMAGE"
"""Environment variable of a build in a container: the id of the image that it runs in."""


class RecordedArchive(FrozenModel):
    """A package archive that the build used."""

    name: ArchiveName
    url: Url
    suites: list[Suite]
    components: list[Component]


class RecordedDeb(FrozenModel):
    """A package from an archive."""

    name: DebName
    version: DebVersion
    sha256: Sha256


class Download(FrozenModel):
    """Another file that the build downloaded."""

    url: Url
    sha256: Sha256


class Record(FrozenModel):
    """All inputs of a build."""

    format: Literal[1] = 1
    board: BoardName
    version: Version
    epoch: Moment
    suite: Suite
    image_sha256: Sha256
    steps: dict[Word, Sha256]
    """Cache key of each step of the plan: a hash of all inputs that decide its product."""
    inputs: dict[Word, dict[InputName, InputValue]]
    """Digest of each input of each step."""
    archives: list[RecordedArchive]
    packages: list[RecordedDeb]
    """Packages from archives; empty if they were not recorded."""
    downloads: list[Download]
    program: Version
    """Version of Boardwright."""
    tools: dict[ToolName, ToolVersion]
    builder_image: ImageId
    """Id of the container image that the build ran in; empty for a build on the machine itself."""


def make_record(plan: Plan, image_sha256: str, packages: Mapping[str, str]) -> Record:
    """Return the record of a build that has just made an image.

    packages  "VERSION SHA256" by name, from the indexes of the archives
    """
    archives = [
        RecordedArchive(name=name, url=archive.url, suites=archive.suites, components=archive.components)
        for name, archive in sorted(plan.recipe.archives.items())
    ]
    debs = [
        RecordedDeb(name=name, version=text.split()[0], sha256=text.split()[1])
        for name, text in sorted(packages.items())
    ]
    fetched = [(deb.location, deb.sha256) for deb in plan.packages.debs]
    fetched += [(blob.location, blob.sha256) for blob in plan.disk.blobs if blob.source == "url"]
    return Record(
        board=plan.board,
        version=plan.version,
        epoch=plan.epoch,
        suite=plan.recipe.suite,
        image_sha256=image_sha256,
        steps={step.name: step.key for step in plan.steps},
        inputs={step.name: dict(step.inputs) for step in plan.steps},
        archives=archives,
        packages=debs,
        downloads=[Download(url=url, sha256=sha256) for url, sha256 in fetched if sha256 and "://" in url],
        program=__version__,
        tools=find_versions(TOOLS),
        builder_image=os.environ.get(BUILDER_IMAGE, ""),
    )


def render_record(record: Record) -> str:
    """Return the record as text of its file."""
    return record.model_dump_json(indent=1) + "\n"


def read_record(text: str | bytes, name: str) -> Record:
    """Return the record from the text of a file called `name`; ReleaseError if it is invalid."""
    return load_described(Record, text, name, error=ReleaseError, hint="build the image again")


def is_of_plan(record: Record, plan: Plan) -> bool:
    """Return whether a build was made from this plan; user-data is ignored."""
    return _without_user_data(record.inputs) == _without_user_data({step.name: step.inputs for step in plan.steps})


def _without_user_data(inputs: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    return {step: {name: text for name, text in rows.items() if name != "user_data"} for step, rows in inputs.items()}
