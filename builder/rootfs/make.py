# SPDX-License-Identifier: MIT
"""The rootfs stage: a plan becomes a finished system, one tree per filesystem.

It is made in three steps, each a layer on the one before: `base` (the packages that the board's family shares),
`packages` (all the others) and `system` (what makes it this board's). The first two are kept for all boards, the
third in the board's room; each is taken from there when it would come out the same. A layer is made aside and takes
its place when it is complete. Everything that is mounted on the way ends with the build.
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
from builder.rootfs.inputs import Origins, find_change, find_changed_input, find_origins, find_plan_inputs
from builder.rootfs.layers import Site, make_packages, make_system
from builder.rootfs.shared_layers import Foreseen, send_layer, take_layer
from builder.rootfs.stored_tree import Kept, find_intact, find_kept, find_stack
from builder.system.locks import locked
from builder.system.proxy import check_proxies
from builder.system.workspace import Workspace


@dataclass(frozen=True)
class Wanted:
    """A rootfs that is known before it is there."""

    site: Site
    use: RootfsUse
    resolved: Resolved | None
    """What the archives have for it; None when they were not asked."""
    origins: Origins
    room: Kept | None
    """That of the room, when it came from the same."""

    @property
    def key(self) -> str:
        """What two rootfs that are the same have in common; nothing when that is not known."""
        return self.origins["system"].key if "system" in self.origins else ""


def find_rootfs(
    plan: Plan,
    workspace: Workspace,
    store: Store,
    *,
    emulation: EmulationChoice,
    cache: Path,
    use: RootfsUse = RootfsUse.CURRENT,
) -> Wanted:
    """Find out what the rootfs of a plan would be made from now.

    store      where .debs are kept, and layers that machines share
    use        when what is there from earlier builds is taken
    emulation  how foreign programs run: auto, redirect or qemu
    cache      directory of downloads, of layers, and of what the emulation keeps

    Raises MachineError, RecipeError, DownloadError, TrustError, SpaceError or ToolError.
    """
    check_proxies()
    keys = collect_keys(plan.recipe.archives, cache)
    archives = Archives(plan, keys, cache=cache, log_file=workspace.log_file)
    site = Site(plan, workspace, cache, store, keys, archives, emulation)
    room = None if use is RootfsUse.NEVER else find_kept(workspace.rootfs)
    if use is RootfsUse.AS_ASKED and room and _is_as_asked(plan, room):
        log.note("the rootfs of the last build is wanted: nothing that was asked for has changed")
        return Wanted(site, use, None, room.origins, room)
    with log.step("packages of the archives"):
        try:
            resolved = archives.resolve()
        except DownloadError as error:
            if room and _is_as_asked(plan, room):
                error.hint += "; --reuse-rootfs takes the rootfs of the last build without asking"
            raise
    for warning in resolved.supply.find_warnings():
        log.warn(warning)
    origins = find_origins(plan, resolved, emulation=emulation)
    change = _find_change(room, origins) if room else ""
    if change:
        log.note(f"the rootfs is made anew: {change}")
    return Wanted(site, use, resolved, origins, None if change else room)


def make_rootfs(wanted: Wanted) -> Kept:
    """Return the rootfs: that of the room if it is whole, or made now. It is opened by kept.opened_rootfs.

    Raises what find_rootfs raises.
    """
    site = wanted.site
    if wanted.room and _is_usable(wanted.room, site.layers):
        log.note("the rootfs of the last build is taken")
        return wanted.room
    if wanted.resolved:
        return _make(site, wanted.resolved, wanted.origins, anew=wanted.use is RootfsUse.NEVER)
    resolved = site.archives.resolve()  # That of the room was wanted without asking, and is not whole.
    return _make(site, resolved, find_origins(site.plan, resolved, emulation=site.wanted), anew=False)


def _find_change(room: Kept, origins: Origins) -> str:
    return find_change(room.origins, origins) if room.origins else "where the last one came from is not known"


def _is_as_asked(plan: Plan, room: Kept) -> bool:
    """Say whether all that is known without the archives is as it was."""
    asked = find_plan_inputs(plan)
    return bool(room.origins) and not any(
        find_changed_input(origin.inputs, asked[step]) for step, origin in room.origins.items()
    )


def _is_usable(room: Kept, layers: Path) -> bool:
    """Say whether a room's rootfs and all that lies below it are whole."""
    return find_intact(room.directory) is not None and find_stack(room, layers) is not None


def _make(site: Site, resolved: Resolved, origins: Origins, *, anew: bool) -> Kept:
    layers: list[Kept] = []
    with _fixed_umask():
        for step, packages in (("base", resolved.base), ("packages", resolved.packages)):
            if step in origins:
                layers.append(_take_or_make(site, step, packages, origins, layers, anew=anew))
        return make_system(site, origins, layers, resolved.supply)


@contextmanager
def _fixed_umask() -> Iterator[None]:
    """Set the umask of builds until the block has ended, so that modes do not depend on the caller's."""
    before = os.umask(namespaces.UMASK)
    try:
        yield
    finally:
        os.umask(before)


def _foresee(plan: Plan, step: str, packages: Sequence[Archived], origins: Origins, below: Sequence[Kept]) -> Foreseen:
    """Return what a layer must be that another machine has made."""
    steps = list(origins)
    there = {(package.name, package.version) for layer in below for package in layer.packages}
    return Foreseen(
        origins={name: origins[name] for name in steps[: steps.index(step) + 1]},
        below=tuple(layer.directory.name for layer in below),
        packages=frozenset(there | {(package.name, package.version) for package in packages}),
        own=frozenset(package.name for package in packages),
        packed_bytes=sum(package.size_bytes for package in packages),
        others=0 if step == "base" else len(plan.packages.debs),
    )


def _take_or_make(
    site: Site, step: str, packages: Sequence[Archived], origins: Origins, below: Sequence[Kept], *, anew: bool
) -> Kept:
    """Return a layer: one that is there, or made now. Of two builds that want the same, the second waits."""
    recipe = site.plan.recipe
    name = f"{step}-{recipe.suite}-{recipe.architecture.value}-{origins[step].key}"
    if anew:  # Under a name of its own: the one that is there may be part of another build just now.
        unique = site.layers / f"{name}-{os.urandom(4).hex()}"
        return make_packages(site, step, packages, origins, below=below, directory=unique)
    with locked(site.layers / f".{name}.lock"):
        directory = site.layers / name
        layer = find_intact(directory)
        layer = layer or take_layer(
            site.store, directory, site.workspace, _foresee(site.plan, step, packages, origins, below)
        )
        if layer:
            log.note(f"layer {name}: taken")
            return layer
        layer = make_packages(site, step, packages, origins, below=below, directory=directory)
        if layer.origins:
            send_layer(site.store, layer, site.workspace)
        return layer
