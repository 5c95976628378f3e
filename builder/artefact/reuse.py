# SPDX-License-Identifier: MIT
"""Reuse the artefacts of a board's last build if their inputs are the same."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from builder import compression, filesystem
from builder.artefact.files import Artefact, Compression
from builder.plan.model import Plan
from builder.recipe.facts import ByteCount, InputName, InputValue
from builder.recipe.values import FrozenModel, PlainName, Sha256
from builder.system.checksums import sha256_file
from builder.system.files import InputError, read_bytes
from builder.system.fingerprint import digest_code, find_versions

TOOLS = ("fdisk", *dict.fromkeys([*filesystem.PROGRAMS.values(), *compression.PROGRAMS.values()]))
"""Debian packages of the programs that make an artefact."""
RECORD = "artefacts.json"
CODE = ("pipeline", "verify.plugin", "../specs", "../specs/data")
"""Entry points of our code that makes an artefact or decides whether it is published; pytest runs the specs."""


class _File(FrozenModel):
    """An artefact; the caller knows its directory."""

    path: PlainName
    size_bytes: ByteCount
    sha256: Sha256


class _ReuseRecord(FrozenModel):
    """The artefacts of a build and their inputs."""

    inputs: dict[InputName, InputValue]
    files: tuple[_File, ...]


def find_artefact_inputs(plan: Plan, compression: Compression, *, verified: bool) -> dict[str, str]:
    """Return the inputs of the artefacts by name, except the rootfs."""
    steps = {f"step {step.name}": step.key for step in plan.steps}
    return {
        **steps,
        **find_versions(TOOLS),
        "compression": compression,
        "verified": str(verified),
        "program": digest_code(*CODE),
    }


def write_made(record: Path, inputs: Mapping[str, str], artefacts: Sequence[Artefact]) -> None:
    """Record the inputs of the artefacts; empty inputs if they are not known."""
    files = [{**asdict(artefact), "path": artefact.path.name} for artefact in artefacts]
    record.write_text(json.dumps({"inputs": dict(inputs), "files": files}), encoding="utf-8")


def find_made(
    record: Path, inputs: Mapping[str, str], output: Path, have: Collection[str]
) -> tuple[Artefact, ...] | None:
    """Return the artefacts if their inputs are the same and each is in `output` or its digest in `have`; else None."""
    content = _read(record)
    if content is None:
        return None
    files = [Artefact(output / row.path, row.size_bytes, row.sha256) for row in content.files]
    is_same = content.inputs == inputs and bool(inputs["rootfs"])
    if not is_same or not all(file.sha256 in have or is_present(file) for file in files):
        return None
    return tuple(files)


def find_changed_step(record: Path, plan: Plan, step: str) -> str:
    """Return the changed input that prevents reuse of a step's last product; "" if the plan shows none."""
    content = _read(record)
    if content is None:
        return "the record of the last build"
    inputs = content.inputs
    if inputs.get("program") != digest_code(*CODE):
        return "program"
    key = next(planned.key for planned in plan.steps if planned.name == step)
    return "" if inputs.get(f"step {step}") == key else f"the {step}"


def _read(record: Path) -> _ReuseRecord | None:
    """Return the content of a record; None if it is missing or invalid, for example after a crash."""
    try:
        return _ReuseRecord.model_validate_json(read_bytes(record))
    except (InputError, ValidationError):
        return None


def is_present(artefact: Artefact) -> bool:
    """Return whether an artefact is at its path, with its size and digest."""
    path = artefact.path
    return path.is_file() and path.stat().st_size == artefact.size_bytes and sha256_file(path) == artefact.sha256
