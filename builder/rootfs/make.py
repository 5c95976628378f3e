# SPDX-License-Identifier: MIT
"""The rootfs stage: a plan becomes a finished system, one tree per filesystem.

The tree is made aside and takes its place in the board's room when it is complete, so `shell` never opens half a
system. The one that is there from the last build is taken where nothing has changed. Everything that is mounted on
the way lives in namespaces and ends with them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from builder import log
from builder.errors import DownloadError, RecipeError
from builder.fetch import fetch
from builder.plan.model import DebPlan, Plan
from builder.rootfs import emulation as emulate
from builder.rootfs import identity
from builder.rootfs.bootloader import Command, prepare_boot
from builder.rootfs.bootstrap import make_tree
from builder.rootfs.clean import clamp_times, clean_tree
from builder.rootfs.emulation import Emulation
from builder.rootfs.kept import RECORD, Kept, digest_trees, find_kept, tree_name, write_kept
from builder.rootfs.model import Package, Rootfs
from builder.rootfs.origin import (
    Origin,
    find_changed_input,
    find_changed_packages,
    find_inputs,
    find_packages,
    find_plan_inputs,
)
from builder.rootfs.resolve import Archived, resolve
from builder.rootfs.sources import collect_keys, install_sources, render_pins, render_sources
from builder.run import run
from builder.store import Store
from builder.tree import resolve_inside
from builder.workspace import Workspace

if TYPE_CHECKING:
    from builder.remote import Remote

CUSTOMISE = "customise.sh"
INSIDE = "/var/tmp/boardwright"  # noqa: S108 - of the rootfs, where nobody else is


Use = Literal["current", "asked", "never"]
"""When the rootfs of the last build is taken: nothing has changed, here and in the archives; nothing that was asked
for has changed; never."""


def make_rootfs(
    plan: Plan,
    workspace: Workspace,
    *,
    emulation: str,
    cache: Path,
    use: Use = "current",
    remote: Remote | None = None,
) -> Rootfs:
    """Return the system of a plan: that of the room, or made now.

    use        when the room's rootfs is taken
    emulation  how foreign programs run: auto, redirect or qemu
    cache      directory of downloads and of what the emulation keeps
    remote     the cache that machines share

    Raises MachineError, RecipeError, DownloadError, TrustError, SpaceError or ToolError.
    """
    inputs = find_inputs(plan, emulation=emulation)
    looked_at = find_plan_inputs(plan) if use == "asked" else inputs
    kept = None if use == "never" else _find_usable(workspace.rootfs, looked_at)
    if kept and use == "asked":
        log.note("the rootfs of the last build is taken: nothing that was asked for has changed")
        return kept.rootfs
    keys = collect_keys(plan.recipe.archives, cache)
    with log.step("packages of the archives"):
        lists = workspace.scratch / "lists"
        try:
            packages = resolve(plan, keys, cache=cache, lists=lists, log_file=workspace.log_file)
        except DownloadError as error:
            if kept:
                error.hint += "; --reuse-rootfs takes the rootfs of the last build without asking"
            raise
    origin = Origin(inputs, find_packages(packages))
    if kept and kept.origin:
        change = find_changed_packages(kept.origin.packages, origin.packages)
        if not change:
            log.note("the rootfs of the last build is taken: nothing has changed, also not in the archives")
            return kept.rootfs
        log.note(f"the rootfs is made anew: {change}")
    return _make(plan, workspace, keys, packages, origin, cache=cache, remote=remote)


def _find_usable(room: Path, inputs: Mapping[str, str]) -> Kept | None:
    """Return the rootfs of the last build if it has these inputs and is whole; say why not."""
    kept = find_kept(room)
    if kept is None or kept.origin is None:
        return None
    changed = find_changed_input(kept.origin.inputs, inputs)
    if changed:
        log.note(f"the rootfs is made anew: {changed} has changed")
        return None
    if digest_trees(room) != kept.digest:
        log.warn(f"the rootfs is made anew: somebody has changed {room}")
        return None
    (room / RECORD).touch()
    return kept


def _make(
    plan: Plan,
    workspace: Workspace,
    keys: dict[str, Path],
    packages: Sequence[Archived],
    origin: Origin,
    *,
    cache: Path,
    remote: Remote | None = None,
) -> Rootfs:
    tree, store = workspace.scratch / "rootfs", Store(cache / "store", remote)
    with log.step("emulation"):
        how = _prepare_emulation(plan, keys, origin.inputs["emulation"], cache)
    with log.step(f"packages: {len(plan.packages.names)} asked for, {plan.recipe.suite} {plan.recipe.architecture}"):
        make_tree(
            plan,
            how,
            keys,
            packages=packages,
            store=store,
            target=tree,
            scratch=workspace.scratch,
            log_file=workspace.log_file,
        )
    is_foreseen = {package.name: package.version for package in read_packages(tree)} == {
        package.name: package.version for package in packages
    }
    with log.step("system: files, users, units, boot"):
        _install_debs(plan, how, tree, workspace, cache)
        _make_system(plan, how, tree, workspace)
        install_sources(tree, plan.recipe.archives, keys)
        clean_tree(tree)
    installed = read_packages(tree)
    if not is_foreseen:
        log.warn("APT installed other packages than it had announced; the next build makes the rootfs anew")
    with log.step(f"trees of {len(installed)} packages"):
        return _split(plan, tree, workspace, installed, origin if is_foreseen else None)


def _prepare_emulation(plan: Plan, keys: dict[str, Path], wanted: str, cache: Path) -> Emulation:
    how = emulate.choose(architecture=plan.recipe.architecture, wanted=wanted)
    log.note(f"{plan.recipe.architecture} programs: {how.mode} ({how.reason})")
    if how.mode is not emulate.Mode.REDIRECT:
        return how
    archives = plan.recipe.archives
    sources = emulate.Sources(plan.recipe.suite, render_sources(archives, keys), render_pins(archives))
    return emulate.prepare(how, sources, cache=cache / "twins")


def _run_inside(commands: list[Command], how: Emulation, tree: Path, workspace: Workspace, plan: Plan) -> None:
    for command in commands:
        run(
            emulate.command(how, command.argv, rootfs=tree, chroot=True),
            env={"SOURCE_DATE_EPOCH": str(plan.epoch), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **dict(command.env)},
            log_file=workspace.log_file,
            name=command.name or command.argv[0],
        )


def _install_debs(plan: Plan, how: Emulation, tree: Path, workspace: Workspace, cache: Path) -> None:
    if not plan.packages.debs:
        return
    inside = tree / INSIDE.lstrip("/")
    inside.mkdir()
    names = [_place_deb(deb, inside, f"{number}-", cache) for number, deb in enumerate(plan.packages.debs)]
    install = Command(("dpkg", "--install", *(f"{INSIDE}/{name}" for name in names)))
    _run_inside([install], how, tree, workspace, plan)
    shutil.rmtree(inside)


def _place_deb(deb: DebPlan, inside: Path, prefix: str, cache: Path) -> str:
    """Copy a package into the tree and return its name there; the prefix keeps apart those of the same file name."""
    source = Path(deb.location) if deb.sha256 is None else fetch(deb.location, sha256=deb.sha256, cache=cache / "files")
    name = prefix + deb.location.rsplit("/", 1)[-1]
    shutil.copyfile(source, inside / name)
    return name


def _make_system(plan: Plan, how: Emulation, tree: Path, workspace: Workspace) -> None:
    identity.lay_files(plan, tree)
    identity.write_names(plan, tree)
    identity.write_sudoers(plan, tree)
    _run_inside(identity.identity_commands(plan, tree), how, tree, workspace, plan)
    identity.write_release(plan, tree)
    identity.write_first_boot(plan, tree)
    _run_inside(prepare_boot(plan, tree), how, tree, workspace, plan)
    for directory in plan.directories:
        if (directory / CUSTOMISE).is_file():
            shutil.copyfile(directory / CUSTOMISE, tree / INSIDE.lstrip("/"))
            script = Command(("sh", "-e", INSIDE), name=f"{directory.name}/{CUSTOMISE}")
            _run_inside([script], how, tree, workspace, plan)


def read_packages(tree: Path) -> tuple[Package, ...]:
    """Return the installed packages of a tree, from dpkg's database, without running a program of the tree."""
    rows = run(
        [
            "dpkg-query",
            f"--admindir={tree / 'var/lib/dpkg'}",
            "--show",
            "--showformat=${db:Status-Status}\\t${Package}\\t${Version}\\t${Architecture}\\t${Installed-Size}\\n",
        ]
    ).stdout.splitlines()
    fields = [row.split("\t") for row in rows]
    broken = [row[1] for row in fields if row[0] not in ("installed", "config-files", "not-installed")]
    if broken:
        raise RecipeError(f"packages left half installed: {', '.join(broken)}", hint="see the build's log")
    return tuple(Package(row[1], row[2], row[3], int(row[4] or 0)) for row in fields if row[0] == "installed")


def _split(
    plan: Plan, tree: Path, workspace: Workspace, packages: tuple[Package, ...], origin: Origin | None
) -> Rootfs:
    """Move what belongs to other filesystems out of the tree, and put the result in the board's room."""
    room = workspace.rootfs
    if room.exists():
        room.rename(workspace.scratch / "before")  # At once: half removed, it would still say that it is whole.
    aside = workspace.scratch / "trees"
    aside.mkdir()
    trees = {}
    for slot in plan.disk.slots:
        if slot.mount == "/":
            continue
        name = tree_name(slot.mount)
        source = resolve_inside(tree, slot.mount)
        source.rename(aside / name)
        source.mkdir(mode=0o755)
        trees[slot.mount] = room / name
    tree.rename(aside / "root")
    trees["/"] = room / "root"
    for path in sorted(aside.iterdir()):
        clamp_times(path, plan.epoch)
    rootfs = Rootfs(trees, packages)
    write_kept(aside, rootfs, origin)
    aside.rename(room)
    return rootfs
