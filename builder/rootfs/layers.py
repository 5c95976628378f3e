# SPDX-License-Identifier: MIT
"""Build each layer of a rootfs on the layers below it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from builder import log
from builder.boot_methods.model import Command
from builder.cache.store import Store
from builder.choices import EmulationChoice
from builder.net.download import fetch
from builder.plan.model import DebPlan, Plan
from builder.rootfs import configure
from builder.rootfs import emulation as emulate
from builder.rootfs.apt.archives import Archives
from builder.rootfs.apt.freshness import find_releases
from builder.rootfs.apt.sources import install_sources, render_sources
from builder.rootfs.apt.supply import UNKNOWN, Archived, Supply
from builder.rootfs.bootloader import prepare_boot
from builder.rootfs.bootstrap import Supplies, install_packages, make_environment, write_base_seed, write_board_seed
from builder.rootfs.clean import clamp_times, clean_layer, clean_tree
from builder.rootfs.customise import INSIDE, run_scripts
from builder.rootfs.delivered import (
    add_built,
    add_written,
    find_configured,
    find_delivered,
    read_delivered,
    write_delivered,
)
from builder.rootfs.emulation import Emulation
from builder.rootfs.fstab import render_fstab
from builder.rootfs.inputs import StageInputs
from builder.rootfs.installed import read_packages
from builder.rootfs.model import InstalledPackage
from builder.rootfs.overlayfs import changing
from builder.rootfs.private_keys import write_key_units
from builder.rootfs.stored_tree import TREE, StoredTree, find_stored_tree, set_aside, tree_name, write_stored_tree
from builder.system.atomic import give_name
from builder.system.paths import resolve_inside, write_text
from builder.system.process import run
from builder.system.workspace import Workspace


@dataclass(frozen=True)
class RootfsBuild:
    """The values that all steps of building one rootfs need."""

    plan: Plan
    workspace: Workspace
    cache: Path
    store: Store
    """Store of .debs, and of layers that machines share."""
    keys: Mapping[str, Path]
    """Keyring file on this machine, by archive of the recipe."""
    archives: Archives
    wanted: EmulationChoice
    """Requested emulation of foreign programs: auto, redirect or qemu."""

    @property
    def layers(self) -> Path:
        """Directory of the layers that boards share."""
        return self.cache / "layers"

    @cached_property
    def emulation(self) -> Emulation:
        """The emulation of foreign programs; prepared at the first use."""
        with log.step("emulation"):
            chosen = emulate.choose(architecture=self.plan.recipe.architecture, wanted=self.wanted)
            log.note(f"{self.plan.recipe.architecture} programs: {chosen.mode} ({chosen.reason})")
            if chosen.mode is not emulate.Mode.REDIRECT:
                return chosen
            archives = self.plan.recipe.archives
            sources = emulate.Sources(
                self.plan.recipe.suite,
                render_sources(archives, self.keys),
                self.archives.pins,
                releases=find_releases(archives),
            )
            return emulate.prepare(chosen, sources, cache=self.cache / "twins")

    def run_inside(self, commands: Sequence[Command], tree: Path, epoch: int) -> None:
        """Run commands in the tree, with SOURCE_DATE_EPOCH `epoch`."""
        environment = {**make_environment(epoch), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": "/tmp"}  # noqa: S108 - of the tree
        for command in commands:
            run(
                emulate.command(
                    self.emulation, command.argv, rootfs=tree, chroot=True, syncs=False, network=command.network
                ),
                env={**environment, **dict(command.env)},
                log_file=self.workspace.log_file,
                name=command.name or command.argv[0],
            )


def make_packages(
    site: RootfsBuild,
    step: str,
    packages: Sequence[Archived],
    origins: StageInputs,
    *,
    below: Sequence[StoredTree],
    directory: Path,
) -> StoredTree:
    """Install packages on the layers `below`, and store the new layer in `directory`."""
    plan, scratch = site.plan, site.workspace.scratch
    is_base = step == "base"
    names = plan.packages.base if is_base else plan.packages.names
    supplies = Supplies(scratch / f"supplies-{step}")
    if is_base:
        write_base_seed(supplies.seed, site.archives.pins)
    else:
        write_board_seed(plan, supplies.seed, site.archives.pins)
    supplies.sources.write_text(render_sources(plan.recipe.archives, site.keys), encoding="utf-8")
    site.archives.provide(packages, site.store, debs=supplies.debs, lists=supplies.lists)
    epoch = find_build_time(supplies.debs)
    emulation, aside = site.emulation, scratch / step
    title = f"{step}: {len(names)} packages asked for, {plan.recipe.suite} {plan.recipe.architecture}"
    with log.step(title), changing([kept.layer for kept in below], aside / TREE, site.workspace) as (tree, is_whole):
        install_packages(plan, names, emulation, supplies, target=tree, epoch=epoch, log_file=site.workspace.log_file)
        is_foreseen = {(package.name, package.version) for package in read_packages(tree)} == {
            (package.name, package.version) for package in packages
        }
        if not is_base:
            _install_debs(site, tree, epoch)
        clean_layer(tree)
        if not is_base:  # In this layer, because it is built rarely; the system layer is built in most builds.
            write_delivered(tree, find_delivered(tree))
        installed = read_packages(tree)
    if not is_foreseen:
        log.warn("APT installed other packages than it had resolved; the next build makes this rootfs again")
        directory = directory.with_name(f"{directory.name}-{scratch.name}")
    clamp_times(aside, epoch)
    steps = list(origins)
    known = {name: origins[name] for name in steps[: steps.index(step) + 1]} if is_foreseen else {}
    return _keep(aside, directory, is_whole=is_whole, below=below, packages=installed, origins=known)


def make_system(site: RootfsBuild, origins: StageInputs, below: Sequence[StoredTree], supply: Supply) -> StoredTree:
    """Build the board's system on the layers `below`, and move it into the board's room."""
    plan, workspace = site.plan, site.workspace
    aside = workspace.scratch / "system"
    layers = [kept.layer for kept in below]
    with log.step("system: files, users, units, boot"), changing(layers, aside / TREE, workspace) as (tree, is_whole):
        _make_system(site, tree)
        install_sources(tree, plan.recipe.archives, site.keys, site.archives.pins)
        clean_tree(tree)
        packages = read_packages(tree)
        mounts = [slot.mount for slot in plan.disk.slots if slot.mount != "/"]
        for mount in sorted(mounts, key=lambda mount: -mount.count("/")):  # Inner mount points first.
            _move_out(tree, mount, aside / tree_name(mount))
    clamp_times(aside, plan.epoch)
    is_known = all(kept.origins for kept in below)
    return _keep(
        aside,
        workspace.rootfs,
        is_whole=is_whole,
        below=below,
        packages=packages,
        origins=origins if is_known else {},
        mounts=mounts,
        supply=supply,
    )


def _keep(
    aside: Path,
    directory: Path,
    *,
    is_whole: bool,
    below: Sequence[StoredTree],
    packages: Sequence[InstalledPackage],
    origins: StageInputs,
    mounts: Sequence[str] = (),
    supply: Supply = UNKNOWN,
) -> StoredTree:
    """Record and rename a finished directory; it replaces an older one."""
    write_stored_tree(
        aside, is_whole=is_whole, below=below, packages=packages, origins=origins, mounts=mounts, supply=supply
    )
    set_aside(directory)
    give_name(aside, directory, durable=False)
    kept = find_stored_tree(directory)
    assert kept is not None  # Its record was written above.
    return kept


def find_build_time(debs: Path) -> int:
    """Return the build time of the youngest package, in seconds since 1970: the time of the files of their layer.

    It depends only on the packages, so a layer is the same whenever it is built. A .deb is an ar archive, and its first
    member has the time of the package's changelog (deb(5)).
    """
    return max((_read_time(path) for path in debs.glob("*.deb")), default=0)


def _read_time(deb: Path) -> int:
    with deb.open("rb") as stream:
        header = stream.read(8 + 28)
    return int(header[24:36])


def _install_debs(site: RootfsBuild, tree: Path, epoch: int) -> None:
    debs = site.plan.packages.debs
    if not debs:
        return
    inside = tree / INSIDE.lstrip("/")
    inside.mkdir()
    names = [_place_deb(deb, inside, f"{number}-", site.cache) for number, deb in enumerate(debs)]
    site.run_inside([Command(("dpkg", "--install", *(f"{INSIDE}/{name}" for name in names)))], tree, epoch)
    shutil.rmtree(inside)


def _place_deb(deb: DebPlan, inside: Path, prefix: str, cache: Path) -> str:
    """Copy a package into the tree and return its name there; the prefix keeps equal file names apart."""
    source = Path(deb.location) if deb.sha256 is None else fetch(deb.location, sha256=deb.sha256, cache=cache / "files")
    name = prefix + deb.location.rsplit("/", 1)[-1]
    shutil.copyfile(source, inside / name)
    return name


def _make_system(site: RootfsBuild, tree: Path) -> None:
    plan, delivered = site.plan, read_delivered(tree)
    _let_names_resolve(tree)
    write_text(tree, "/etc/fstab", render_fstab(plan))
    laid = configure.lay_files(plan, tree)
    configure.write_names(plan, tree)
    configure.write_sudoers(plan, tree)
    site.run_inside(configure.identity_commands(plan, tree), tree, plan.epoch)
    configure.write_locale_gen(tree)
    configure.write_release(plan, tree)
    configure.write_first_boot(plan, tree)
    site.run_inside(prepare_boot(plan, tree), tree, plan.epoch)
    delivered = add_built(delivered, tree, laid)
    delivered = run_scripts(plan, tree, delivered, laid=laid, run_inside=site.run_inside)
    delivered = add_written(delivered, tree, write_key_units(tree))
    write_delivered(tree, {**delivered, **find_configured(tree)})


def _let_names_resolve(tree: Path) -> None:
    """Copy this machine's resolv.conf into the tree; clean_tree replaces it by the board's link."""
    resolver, here = tree / "etc/resolv.conf", Path("/etc/resolv.conf")
    resolver.unlink(missing_ok=True)
    if here.is_file():
        shutil.copyfile(here, resolver)


def _move_out(tree: Path, mount: str, target: Path) -> None:
    """Move the files of another filesystem out of the tree, and leave an empty mount point."""
    source = resolve_inside(tree, mount)
    # Copied, because overlayfs cannot rename a directory of a lower layer.
    run(["cp", "--archive", source, target])
    shutil.rmtree(source)
    source.mkdir(mode=0o755)
