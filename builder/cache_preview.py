# SPDX-License-Identifier: MIT
"""What the next build takes from earlier ones, as far as that can be said without network and tools.

A build leaves records of what its products came from, in the board's room. Of one that ran in a container copies are
brought here, since its room is in the Engine's volume:

    STATE/rooms/<board>/rootfs/made.json, artefacts.json     of a build on this machine
    STATE/records/<board>/made.json, artefacts.json          of one in a container
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.artefact.reuse import RECORD as ARTEFACTS
from builder.artefact.reuse import find_changed_step
from builder.plan.model import Plan
from builder.rootfs.apt.supply import UNKNOWN, Supply
from builder.rootfs.inputs import find_changed_input, find_plan_inputs
from builder.rootfs.stored_tree import RECORD as ROOTFS
from builder.rootfs.stored_tree import Kept, read_kept

HIT = "hit, if no archive has news"


def foresee(state: Path, plan: Plan) -> Mapping[str, str]:
    """Say for each step whether what the board's last build made is taken, and the first input that keeps it from
    that; nothing where no build is known."""
    found = _find_newest(state, plan.board)
    if found is None:
        return {}
    kept, artefacts = found
    said, reason = {}, "" if kept.origins else "the last build's origin is not known"
    for step, inputs in find_plan_inputs(plan).items():
        if not reason and step in kept.origins:
            changed = find_changed_input(kept.origins[step].inputs, inputs)
            reason = f"{changed} has changed" if changed else ""
        said[step] = f"miss: {reason}" if reason else HIT
    for step in ("image", "package"):
        changed = find_changed_step(artefacts, plan, step)
        reason = reason or (f"{changed} has changed" if changed else "")
        said[step] = f"miss: {reason}" if reason else HIT
    return said


def find_supply(state: Path, board: str) -> Supply:
    """Return where the packages of a board's last build come from; nothing where no build is known."""
    found = _find_newest(state, board)
    return found[0].supply if found else UNKNOWN


def _find_newest(state: Path, board: str) -> tuple[Kept, Path] | None:
    room, brought = state / "rooms" / board, state / "records" / board
    places = ((room / "rootfs" / ROOTFS, room / ARTEFACTS), (brought / ROOTFS, brought / ARTEFACTS))
    try:
        there = [(rootfs.stat().st_mtime, rootfs, artefacts) for rootfs, artefacts in places if rootfs.exists()]
        newest = max(there, default=None)
        kept = read_kept(newest[1]) if newest else None
    except PermissionError:  # Root built it.
        return None
    return (kept, newest[2]) if kept and newest else None
