# SPDX-License-Identifier: MIT
"""Cache inputs of the layers of a rootfs: inputs of the plan, packages with digests, versions of tools, our code.

The same inputs give the same tree, so a layer of an earlier build can be reused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from builder.choices import EmulationChoice
from builder.plan.ids import canonical
from builder.plan.model import Plan
from builder.plan.stages import ROOTFS_STEPS
from builder.rootfs.apt.resolve import Resolved
from builder.rootfs.apt.supply import Archived
from builder.system.fingerprint import digest_code, find_versions

TOOLS = ("mmdebstrap", "apt", "dpkg")
"""Debian packages of the programs on this machine that build a tree. Programs in the tree count as its packages."""
CODE = "rootfs.make"
"""Our module that builds a tree."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a layer: digest or version by input name; version and SHA-256 by package name."""

    inputs: Mapping[str, str]
    packages: Mapping[str, str]

    @property
    def key(self) -> str:
        """Cache key: one digest of all inputs."""
        return hashlib.sha256(canonical(asdict(self)).encode()).hexdigest()[:24]


StageInputs = Mapping[str, Inputs]
"""Inputs by layer, lowest layer first."""


def find_plan_inputs(plan: Plan) -> dict[str, Mapping[str, str]]:
    """Return the inputs of each layer that are known without the machine's tools and the archives."""
    program = digest_code(CODE)
    return {step.name: {**step.inputs, "program": program} for step in plan.steps if step.name in ROOTFS_STEPS}


def find_inputs(plan: Plan, resolved: Resolved, *, emulation: EmulationChoice) -> StageInputs:
    """Return the inputs that each layer of the rootfs has now."""
    shared = {**find_versions(TOOLS), "emulation": emulation}
    packages = {"base": resolved.base, "packages": resolved.packages, "system": ()}
    origins: dict[str, Inputs] = {}
    below = ""
    for name, inputs in find_plan_inputs(plan).items():
        if name == "base" and not resolved.base:
            continue
        origins[name] = Inputs({**inputs, **shared, "layer below": below}, find_packages(packages[name]))
        below = origins[name].key
    return origins


def find_packages(packages: Sequence[Archived]) -> dict[str, str]:
    """Return version and digest of each package by name."""
    return {package.name: f"{package.version} {package.sha256}" for package in packages}


def find_change(old: StageInputs, new: StageInputs) -> str:
    """Return the first difference between two sets of inputs ("overlays has changed"), or ""."""
    for step, origin in new.items():
        before = old.get(step, Inputs({}, {}))
        name = find_changed_input(before.inputs, origin.inputs)
        # The input "layer below" is last: a change of it was named at that layer, unless the layer is new.
        change = find_changed_packages(before.packages, origin.packages) or (f"{name} has changed" if name else "")
        if change:
            return change
    return ""


def find_changed_input(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Return the name of the first input in `new` that differs from `old` or is missing there, or ""."""
    return next((name for name, value in new.items() if old.get(name) != value), "")


def find_changed_packages(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Return the changes of packages ("htop 3.4.0 → 3.4.1, and 2 more packages"), or ""."""
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if not names:
        return ""
    before, after = (packages.get(names[0], "none").partition(" ")[0] for packages in (old, new))
    first = f"{names[0]} {before} → {after}" if before != after else f"{names[0]} {after} is another file"
    return first if len(names) == 1 else f"{first}, and {len(names) - 1} more"
