# SPDX-License-Identifier: MIT
"""What the steps of a rootfs are made from: the plan's inputs, packages as their archives had them, tools, our code.

Two that are the same make the same tree, so that what an earlier build made may be taken.
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
"""Debian packages of the programs that make a tree; those in the tree are among its own."""
CODE = "rootfs.make"
"""The module of our own code that makes a tree."""


@dataclass(frozen=True)
class Origin:
    """Digest or version of each input by name; version and SHA-256 of each package by its name."""

    inputs: Mapping[str, str]
    packages: Mapping[str, str]

    @property
    def key(self) -> str:
        """One digest of all of it."""
        return hashlib.sha256(canonical(asdict(self)).encode()).hexdigest()[:24]


Origins = Mapping[str, Origin]
"""By step, lowest first."""


def find_plan_inputs(plan: Plan) -> dict[str, Mapping[str, str]]:
    """Return the inputs of each step that are known without a look at the machine's tools and the archives."""
    program = digest_code(CODE)
    return {step.name: {**step.inputs, "program": program} for step in plan.steps if step.name in ROOTFS_STEPS}


def find_origins(plan: Plan, resolved: Resolved, *, emulation: EmulationChoice) -> Origins:
    """Return what each step of the rootfs would be made from now."""
    shared = {**find_versions(TOOLS), "emulation": emulation}
    packages = {"base": resolved.base, "packages": resolved.packages, "system": ()}
    origins: dict[str, Origin] = {}
    below = ""
    for name, inputs in find_plan_inputs(plan).items():
        if name == "base" and not resolved.base:
            continue
        origins[name] = Origin({**inputs, **shared, "layer below": below}, find_packages(packages[name]))
        below = origins[name].key
    return origins


def find_packages(packages: Sequence[Archived]) -> dict[str, str]:
    """Return version and digest of each package by its name."""
    return {package.name: f"{package.version} {package.sha256}" for package in packages}


def find_change(old: Origins, new: Origins) -> str:
    """Return the first thing that makes a rootfs another one, or nothing: "overlays has changed"."""
    for step, origin in new.items():
        before = old.get(step, Origin({}, {}))
        name = find_changed_input(before.inputs, origin.inputs)
        # What lies below differs by what was named there, or, where a step is new, by that.
        change = find_changed_packages(before.packages, origin.packages) or (f"{name} has changed" if name else "")
        if change:
            return change
    return ""


def find_changed_input(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Return the name of the first of the new inputs that was another or none, or nothing."""
    return next((name for name, value in new.items() if old.get(name) != value), "")


def find_changed_packages(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Return what is new in the archives, or nothing: "htop 3.4.0 → 3.4.1, and 2 more packages"."""
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if not names:
        return ""
    before, after = (packages.get(names[0], "none").partition(" ")[0] for packages in (old, new))
    first = f"{names[0]} {before} → {after}" if before != after else f"{names[0]} {after} is another file"
    return first if len(names) == 1 else f"{first}, and {len(names) - 1} more"
