# SPDX-License-Identifier: MIT
"""What a rootfs was made from: the plan's inputs, the packages as their archives had them, the tools, this program.

Two that are the same make the same rootfs, so that the one of the last build may be taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import run as runner
from builder import tree
from builder.plan.model import Plan
from builder.rootfs.resolve import Archived
from builder.run import run

TOOLS = ("mmdebstrap", "apt", "dpkg")
"""Debian packages of the programs that make a tree; those in the tree are among its own."""


@dataclass(frozen=True)
class Origin:
    """Digest or version of each input by name; version and SHA-256 of each package by its name."""

    inputs: Mapping[str, str]
    packages: Mapping[str, str]


def find_plan_inputs(plan: Plan) -> dict[str, str]:
    """Return the inputs that are known without a look at the machine's tools and the archives."""
    step = next(step for step in plan.steps if step.name == "rootfs")
    return {**step.inputs, "program": _digest_program()}


def find_inputs(plan: Plan, *, emulation: str) -> dict[str, str]:
    """Return all inputs but the packages."""
    row = "${Package} ${Version}\\n"
    installed = run(["dpkg-query", "--show", f"--showformat={row}", *TOOLS], ok=(0, 1)).stdout
    versions = dict(line.split(" ", 1) for line in installed.splitlines())
    tools = {f"tool {tool}": versions.get(tool, "") for tool in TOOLS}
    return {**find_plan_inputs(plan), **tools, "emulation": emulation}


def find_packages(packages: Sequence[Archived]) -> dict[str, str]:
    """Return version and digest of each package by its name."""
    return {package.name: f"{package.version} {package.sha256}" for package in packages}


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


def _digest_program() -> str:
    """Return one digest of the code that makes a rootfs."""
    sources = [path for path in Path(__file__).parent.iterdir() if path.suffix in (".py", ".c")]
    state = hashlib.sha256()
    for path in [*sorted(sources), Path(runner.__file__), Path(tree.__file__)]:
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()[:16]
