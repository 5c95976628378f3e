# SPDX-License-Identifier: MIT
"""The artefacts of a board's last build, and what they were made from: where that is the same, nothing is made."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from builder.artefact.files import Artefact, Compression
from builder.compression import PROGRAMS
from builder.plan.model import Plan
from builder.recipe.facts import ByteCount, InputName, InputValue
from builder.recipe.values import Frozen, PlainName, Sha256
from builder.system.checksums import sha256_file
from builder.system.files import InputError, read_bytes
from builder.system.fingerprint import digest_code, find_versions

TOOLS = ("e2fsprogs", "mtools", "fdisk", *dict.fromkeys(PROGRAMS.values()))
"""Debian packages of the programs whose output an artefact is."""
RECORD = "artefacts.json"
CODE = ("pipeline", "verify.plugin", "../specs", "../specs/data")
"""Where our own code starts that makes an artefact, or decides whether it is handed out: specs are run by pytest."""


class _File(Frozen):
    """An artefact, in a directory that is known elsewhere."""

    path: PlainName
    size_bytes: ByteCount
    sha256: Sha256


class _Made(Frozen):
    """The artefacts of a build."""

    inputs: dict[InputName, InputValue]
    files: tuple[_File, ...]


def find_artefact_inputs(plan: Plan, compression: Compression, *, verified: bool) -> dict[str, str]:
    """Return all that decides the artefacts of a rootfs, by name."""
    steps = {f"step {step.name}": step.key for step in plan.steps}
    return {
        **steps,
        **find_versions(TOOLS),
        "compression": compression,
        "verified": str(verified),
        "program": digest_code(*CODE),
    }


def write_made(record: Path, inputs: Mapping[str, str], artefacts: Sequence[Artefact]) -> None:
    """Write down what the artefacts were made from; nothing when that is not known."""
    files = [{**asdict(artefact), "path": artefact.path.name} for artefact in artefacts]
    record.write_text(json.dumps({"inputs": dict(inputs), "files": files}), encoding="utf-8")


def find_made(
    record: Path, inputs: Mapping[str, str], output: Path, have: Collection[str]
) -> tuple[Artefact, ...] | None:
    """Return the artefacts that were made from the same, if all of them are in `output`, or their digests in `have`."""
    made = _read(record)
    if made is None:
        return None
    files = [Artefact(output / row.path, row.size_bytes, row.sha256) for row in made.files]
    is_same = made.inputs == inputs and bool(inputs["rootfs"])
    if not is_same or not all(file.sha256 in have or is_present(file) for file in files):
        return None
    return tuple(files)


def find_changed_step(record: Path, plan: Plan, step: str) -> str:
    """Return what keeps the last build's product of a step from being that of the plan, as far as the plan can say."""
    made = _read(record)
    if made is None:
        return "the record of the last build"
    inputs = made.inputs
    if inputs.get("program") != digest_code(*CODE):
        return "program"
    key = next(each.key for each in plan.steps if each.name == step)
    return "" if inputs.get(f"step {step}") == key else f"the {step}"


def _read(record: Path) -> _Made | None:
    """Return what a record says; None where it is not there or does not, such as one that a crash has cut short."""
    try:
        return _Made.model_validate_json(read_bytes(record))
    except (InputError, ValidationError):
        return None


def is_present(artefact: Artefact) -> bool:
    """Say whether an artefact is where it says, to the byte."""
    path = artefact.path
    return path.is_file() and path.stat().st_size == artefact.size_bytes and sha256_file(path) == artefact.sha256
