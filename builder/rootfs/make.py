# SPDX-License-Identifier: MIT
"""The rootfs stage: a plan becomes a finished system, one tree per filesystem.

The tree is made aside and takes its place in the board's room when it is complete, so `shell` never opens half a
system. Everything that is mounted on the way lives in namespaces and ends with them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from builder import log
from builder.errors import RecipeError
from builder.fetch import fetch
from builder.plan.model import DebPlan, Plan
from builder.rootfs import emulation as emulate
from builder.rootfs import identity
from builder.rootfs.bootloader import Command, prepare_boot
from builder.rootfs.bootstrap import make_tree
from builder.rootfs.clean import clamp_times, clean_tree
from builder.rootfs.emulation import Emulation
from builder.rootfs.kept import find_kept, tree_name, write_kept
from builder.rootfs.model import Package, Rootfs
from builder.rootfs.sources import collect_keys, install_sources, render_pins, render_sources
from builder.run import run
from builder.tree import resolve_inside
from builder.workspace import Workspace

CUSTOMISE = "customise.sh"
INSIDE = "/var/tmp/boardwright"  # noqa: S108 - of the rootfs, where nobody else is


def make_rootfs(plan: Plan, workspace: Workspace, *, emulation: str, cache: Path, reuse: bool = False) -> Rootfs:
    """Build the system of a plan.

    reuse      take the room's rootfs if it was made by the same key
    emulation  how foreign programs run: auto, redirect or qemu
    cache      directory of downloads and of what the emulation keeps

    Raises MachineError, RecipeError, DownloadError, TrustError, SpaceError or ToolError.
    """
    kept = find_kept(workspace.rootfs) if reuse else None
    if kept and kept[0] == _key(plan):
        log.note("the rootfs of the last build is taken: nothing that was asked for has changed")
        return kept[1]
    tree = workspace.scratch / "rootfs"
    with log.step("keys and emulation"):
        keys = collect_keys(plan.recipe.archives, cache)
        how = _prepare_emulation(plan, keys, emulation, cache)
    with log.step(f"packages: {len(plan.packages.names)} asked for, {plan.recipe.suite} {plan.recipe.architecture}"):
        make_tree(plan, how, keys, target=tree, scratch=workspace.scratch, log_file=workspace.log_file)
    with log.step("system: files, users, units, boot"):
        _install_debs(plan, how, tree, workspace, cache)
        _make_system(plan, how, tree, workspace)
        install_sources(tree, plan.recipe.archives, keys)
        clean_tree(tree)
    packages = read_packages(tree)
    with log.step(f"trees of {len(packages)} packages"):
        return _split(plan, tree, workspace, packages)


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


def _split(plan: Plan, tree: Path, workspace: Workspace, packages: tuple[Package, ...]) -> Rootfs:
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
    write_kept(aside, _key(plan), rootfs)
    aside.rename(room)
    return rootfs


def _key(plan: Plan) -> str:
    return next(step.key for step in plan.steps if step.name == "rootfs")
