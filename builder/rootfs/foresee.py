# SPDX-License-Identifier: MIT
"""Whether the next build makes the rootfs anew, as far as that can be said without network and tools."""

from __future__ import annotations

from pathlib import Path

from builder.plan.model import Plan
from builder.rootfs.kept import find_kept
from builder.rootfs.origin import find_changed_input, find_plan_inputs


def foresee(state: Path, plan: Plan) -> str:
    """Say what becomes of the rootfs of the last build in `state`; nothing where none is."""
    try:
        kept = find_kept(state / "rooms" / plan.board / "rootfs")
    except PermissionError:  # Root built it.
        return ""
    if kept is None:
        return ""
    if kept.origin is None:
        return "made anew: the last build's origin is not known"
    changed = find_changed_input(kept.origin.inputs, find_plan_inputs(plan))
    return f"made anew: {changed} has changed" if changed else "that of the last build, if no archive has news"
