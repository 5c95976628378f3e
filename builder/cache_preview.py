# SPDX-License-Identifier: MIT
"""Predict the cache hits of the next build, as far as possible without network and tools.

A build leaves records of its inputs in the board's room. The room of a build in a container is in the Engine's volume,
so its records are copied to this machine:

    STATE/rooms/<board>/rootfs/made.json, artefacts.json     of a build on this machine
    STATE/records/<board>/made.json, artefacts.json          of a build in a container
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
from builder.rootfs.stored_tree import StoredTree, read_kept

HIT = "hit, unless an archive has changed"


def preview_cache(state: Path, plan: Plan) -> Mapping[str, str]:
    """Return for each step a cache hit, or a miss with the first changed input; {} if no earlier build is known."""
    newest = _find_newest(state, plan.board)
    if newest is None:
        return {}
    tree, artefacts = newest
    preview, reason = {}, "" if tree.origins else "the inputs of the last build are not known"
    for step, inputs in find_plan_inputs(plan).items():
        if not reason and step in tree.origins:
            changed = find_changed_input(tree.origins[step].inputs, inputs)
            reason = f"{changed} has changed" if changed else ""
        preview[step] = f"miss: {reason}" if reason else HIT
    for step in ("image", "package"):
        changed = find_changed_step(artefacts, plan, step)
        reason = reason or (f"{changed} has changed" if changed else "")
        preview[step] = f"miss: {reason}" if reason else HIT
    return preview


def find_supply(state: Path, board: str) -> Supply:
    """Return the archives of the packages of a board's last build; UNKNOWN if no build is known."""
    newest = _find_newest(state, board)
    return newest[0].supply if newest else UNKNOWN


def _find_newest(state: Path, board: str) -> tuple[StoredTree, Path] | None:
    room, copies = state / "rooms" / board, state / "records" / board
    records = ((room / "rootfs" / ROOTFS, room / ARTEFACTS), (copies / ROOTFS, copies / ARTEFACTS))
    try:
        existing = [(rootfs.stat().st_mtime, rootfs, artefacts) for rootfs, artefacts in records if rootfs.exists()]
        newest = max(existing, default=None)
        tree = read_kept(newest[1]) if newest else None
    except PermissionError:  # Root built it.
        return None
    return (tree, newest[2]) if tree and newest else None
