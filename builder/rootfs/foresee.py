# SPDX-License-Identifier: MIT
"""What the next build takes from earlier ones, as far as that can be said without network and tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.plan.model import Plan
from builder.rootfs.kept import find_kept
from builder.rootfs.origin import find_changed_input, find_plan_inputs


def foresee(state: Path, plan: Plan) -> Mapping[str, str]:
    """Say for each step of the rootfs whether the last build's in `state` is taken; nothing where there is none."""
    try:
        kept = find_kept(state / "rooms" / plan.board / "rootfs")
    except PermissionError:  # Root built it.
        return {}
    if kept is None:
        return {}
    said, reason = {}, "" if kept.origins else "the last build's origin is not known"
    for step, inputs in find_plan_inputs(plan).items():
        if not reason and step in kept.origins:
            changed = find_changed_input(kept.origins[step].inputs, inputs)
            reason = f"{changed} has changed" if changed else ""
        said[step] = f"miss: {reason}" if reason else "hit, if no archive has news"
    return said
