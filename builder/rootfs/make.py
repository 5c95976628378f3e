# SPDX-License-Identifier: MIT
"""Build the rootfs of a plan: a finished system, one tree per filesystem.

It has three layers: `base` (packages that the board's family shares), `packages` (all others) and `system` (files and
settings of the board). The first two are kept for all boards, the third in the board's room. A layer is reused if its
inputs are the same. It is built in the scratch directory and renamed when complete. All mounts end with the build.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.cache.store import Store
from builder.choices import EmulationChoice, RootfsUse
from builder.errors import DownloadError
from builder.plan.model import Plan
from builder.rootfs import namespaces
from builder.rootfs.apt.archives import Archives
from builder.rootfs.apt.resolve import Resolved
from builder.rootfs.apt.sources import collect_keys
from builder.rootfs.apt.supply import Archived
from builder.rootfs.inputs import StageInputs, find_change, find_changed_input, find_inputs, find_plan_inputs
from builder.rootfs.layers import RootfsBuild, make_packages, make_system
from builder.rootfs.shared_layers import Foreseen, send_layer, take_layer
from builder.rootfs.stored_tree import StoredTree, find_intact, find_stack, find_stored_tree
from builder.system.locks import locked
from builder.system.proxy import check_proxies
from builder.system.workspace import Workspace


@dataclass(frozen=True)
class RootfsRequest:
    """A rootfs whose inputs are known before it is built."""

    site: RootfsBuild
    use: RootfsUse
    resolved: Resolved | None
    """Its packages in the archives; None if they were not resolved."""
    origins: StageInputs
    room: StoredTree | None
    """The rootfs in the board's room; None if its inputs differ."""

    @property
    def key(self) -> str:
        """Cache key: the same for equal rootfs; "" if unknown."""
        return self.origins["system"].key if "system" in self.origins else ""


def resolve_rootfs(
    plan: Plan,
    workspace: Workspace,
    store: Store,
    *,
    emulation: EmulationChoice,
    cache: Path,
    use: RootfsUse = RootfsUse.CURRENT,
) -> RootfsRequest:
    """Find the inputs that the rootfs of a plan has now.

    store      store of .debs, and of layers that machines share
    use        when to reuse results of earlier builds
    emulation  emulation of foreign programs: auto, redirect or qemu
    cache      directory of downloads, layers, and files of the emulation

    Raises MachineError, RecipeError, DownloadError, TrustError, SpaceError or ToolError.
    """
    check_proxies()
    keys = collect_keys(plan.recipe.archives, cache)
    archives = Archives(plan, keys, cache=cache, log_file=workspace.log_file)
    site = RootfsBuild(plan, workspace, cache, store, keys, archives, emulation)
    room = None if use is RootfsUse.NEVER else find_stored_tree(workspace.rootfs)
    if use is RootfsUse.AS_ASKED and room and _is_as_asked(plan, room):
        log.note("reusing the rootfs of the last build: the recipe has not changed")
        return RootfsRequest(site, use, None, room.origins, room)
    with log.step("packages of the archives"):
        try:
            resolved = archives.resolve()
        except DownloadError as error:
            if room and _is_as_asked(plan, room):
                error.hint += "; --reuse-rootfs uses the rootfs of the last build without asking the archives"
            raise
    for warning in resolved.supply.find_warnings():
        log.warn(warning)
    origins = find_inputs(plan, resolved, emulation=emulation)
    change = _find_change(room, origins) if room else ""
    if change:
        log.note(f"making the rootfs again: {change}")
    return RootfsRequest(site, use, resolved, origins, None if change else room)


def make_rootfs(wanted: RootfsRequest) -> StoredTree:
    """Return the rootfs: the one in the board's room if it is intact, else a new one.

    Open it with stored_tree.open_rootfs. Raises the errors of resolve_rootfs.
    """
    site = wanted.site
    if wanted.room and _is_usable(wanted.room, site.layers):
        log.note("reusing the rootfs of the last build")
        return wanted.room
    if wanted.resolved:
        return _make(site, wanted.resolved, wanted.origins, rebuild=wanted.use is RootfsUse.NEVER)
    resolved = site.archives.resolve()  # Needed now: RootfsUse.AS_ASKED skipped it, but the room's rootfs is damaged.
    return _make(site, resolved, find_inputs(site.plan, resolved, emulation=site.wanted), rebuild=False)


def _find_change(room: StoredTree, origins: StageInputs) -> str:
    return find_change(room.origins, origins) if room.origins else "the inputs of the last one are unknown"


def _is_as_asked(plan: Plan, room: StoredTree) -> bool:
    """Return True if all inputs that are known without the archives are unchanged."""
    asked = find_plan_inputs(plan)
    return bool(room.origins) and not any(
        find_changed_input(origin.inputs, asked[step]) for step, origin in room.origins.items()
    )


def _is_usable(room: StoredTree, layers: Path) -> bool:
    """Return True if a room's rootfs and all layers below it are intact."""
    return find_intact(room.directory) is not None and find_stack(room, layers) is not None


def _make(site: RootfsBuild, resolved: Resolved, origins: StageInputs, *, rebuild: bool) -> StoredTree:
    layers: list[StoredTree] = []
    with _fixed_umask():
        for step, packages in (("base", resolved.base), ("packages", resolved.packages)):
            if step in origins:
                layers.append(_take_or_make(site, step, packages, origins, layers, rebuild=rebuild))
        return make_system(site, origins, layers, resolved.supply)


@contextmanager
def _fixed_umask() -> Iterator[None]:
    """Set a fixed umask for a block, so that modes of files do not depend on the caller's."""
    before = os.umask(namespaces.UMASK)
    try:
        yield
    finally:
        os.umask(before)


def _foresee(
    plan: Plan, step: str, packages: Sequence[Archived], origins: StageInputs, below: Sequence[StoredTree]
) -> Foreseen:
    """Return the content that a layer from another machine must have."""
    steps = list(origins)
    installed = {(package.name, package.version) for layer in below for package in layer.packages}
    return Foreseen(
        origins={name: origins[name] for name in steps[: steps.index(step) + 1]},
        below=tuple(layer.directory.name for layer in below),
        packages=frozenset(installed | {(package.name, package.version) for package in packages}),
        own=frozenset(package.name for package in packages),
        packed_bytes=sum(package.size_bytes for package in packages),
        others=0 if step == "base" else len(plan.packages.debs),
    )


def _take_or_make(
    site: RootfsBuild,
    step: str,
    packages: Sequence[Archived],
    origins: StageInputs,
    below: Sequence[StoredTree],
    *,
    rebuild: bool,
) -> StoredTree:
    """Return a cached layer or build it. A second build that needs the same layer waits for the first."""
    recipe = site.plan.recipe
    name = f"{step}-{recipe.suite}-{recipe.architecture.value}-{origins[step].key}"
    if rebuild:  # Under a unique name: another build may be using the cached layer.
        unique = site.layers / f"{name}-{os.urandom(4).hex()}"
        return make_packages(site, step, packages, origins, below=below, directory=unique)
    with locked(site.layers / f".{name}.lock"):
        directory = site.layers / name
        layer = find_intact(directory)
        layer = layer or take_layer(
            site.store, directory, site.workspace, _foresee(site.plan, step, packages, origins, below)
        )
        if layer:
            log.note(f"layer {name}: cache hit")
            return layer
        layer = make_packages(site, step, packages, origins, below=below, directory=directory)
        if layer.origins:
            send_layer(site.store, layer, site.workspace)
        return layer
