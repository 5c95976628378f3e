# SPDX-License-Identifier: MIT
"""A tree of installed packages, made by mmdebstrap.

mmdebstrap checks and unpacks with this machine's APT, and configures in the tree. It is given the indexes that were
asked before (resolve.py), and the .debs of earlier builds. What packages look at while they are configured is there
before the first of them: fstab, what the initrd must be able to check, APT's pins, the mount point of the FAT
partition.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from builder import log
from builder.plan.model import Plan
from builder.rootfs import emulation as emulate
from builder.rootfs.emulation import Emulation
from builder.rootfs.explain import explain
from builder.rootfs.fstab import TYPES, render_fstab
from builder.rootfs.identity import link_firmware
from builder.rootfs.resolve import APT_OPTIONS, Archived
from builder.rootfs.sources import render_pins, render_sources
from builder.run import run
from builder.store import Store
from builder.tree import write_text
from builder.units import render_size

ARCHIVES = "var/cache/apt/archives"


def make_tree(
    plan: Plan,
    emulation: Emulation,
    keys: Mapping[str, Path],
    *,
    packages: Sequence[Archived],
    store: Store,
    target: Path,
    scratch: Path,
    log_file: Path,
) -> None:
    """Install the plan's packages into the directory `target`, which must not exist.

    keys      keyring file on this machine for each archive of the recipe
    packages  what the archives have for the plan; the indexes that say so are in `scratch`/lists
    store     where .debs come from, and where those that had to be downloaded go

    Raises TrustError (a signature, key or digest is wrong), DownloadError (an archive cannot be reached),
    RecipeError (an archive has no such package), SpaceError, ToolError (a package failed to configure).
    """
    _write_seed(plan, scratch / "seed")
    (scratch / "archives.sources").write_text(render_sources(plan.recipe.archives, keys), encoding="utf-8")
    _place_debs(packages, store, scratch / "debs")
    argv = _mmdebstrap(plan, emulation, target=target, scratch=scratch)
    try:
        result = run(
            emulate.command(emulation, argv, rootfs=target),
            env={"SOURCE_DATE_EPOCH": str(plan.epoch)},
            ok=range(256),
            log_file=log_file,
            name="mmdebstrap",
        )
    finally:
        _collect_debs(target / ARCHIVES, packages, store)  # Also those of a build that failed.
    if result.code:
        raise explain(result, plan, log_file, name="mmdebstrap")


def _mmdebstrap(plan: Plan, emulation: Emulation, *, target: Path, scratch: Path) -> list[str]:
    return [
        "mmdebstrap",
        *emulate.mmdebstrap_options(emulation),
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(plan.packages.names)}",
        *(f"--aptopt={option}" for option in APT_OPTIONS),
        # Nothing is lost if the machine goes down now, and syncing each file of each package costs minutes.
        "--dpkgopt=force-unsafe-io",
        f'--setup-hook=cp -a {shlex.quote(f"{scratch}/seed/.")} "$1/"',
        # The indexes that were asked before: the same answer, and nothing to download.
        f'--setup-hook=cp -a {shlex.quote(f"{scratch}/lists/.")} "$1/var/lib/apt/lists/"',
        f'--setup-hook=cp -al {shlex.quote(f"{scratch}/debs/.")} "$1/{ARCHIVES}/"',
        # The .debs stay in the tree until _collect_debs has them.
        "--skip=update,essential/unlink,cleanup/apt/cache",
        plan.recipe.suite,
        str(target),
        f"{scratch}/archives.sources",
    ]


def _place_debs(packages: Sequence[Archived], store: Store, directory: Path) -> None:
    """Give the store's .debs the names that APT looks for. APT itself compares only their sizes with the signed
    index, so they are taken by the digest that stands there, and hashed."""
    directory.mkdir()
    placed = [package for package in packages if store.place(package.sha256, directory / package.file)]
    size = sum(package.size_bytes for package in packages) - sum(package.size_bytes for package in placed)
    log.note(f"{len(placed)} of {len(packages)} packages are here already; {render_size(size)} to download")


def _collect_debs(directory: Path, packages: Sequence[Archived], store: Store) -> None:
    """Move the .debs that the store lacks from the tree into it, and remove the others."""
    wanted = {package.file: package for package in packages}
    for deb in sorted(directory.glob("*.deb")):
        package = wanted.get(deb.name)
        if package is None or store.has(package.sha256):
            deb.unlink()
            continue
        store.take(deb, package.sha256)
        facts = {"name": package.name, "version": package.version, "architecture": package.architecture}
        store.set_ref(f"deb/{package.file}", package.sha256, facts)


def _write_seed(plan: Plan, seed: Path) -> None:
    for slot in plan.disk.slots:
        (seed / slot.mount.lstrip("/")).mkdir(parents=True, exist_ok=True)
    link_firmware(plan, seed)
    write_text(seed, "/etc/fstab", render_fstab(plan))
    # By itself initramfs-tools looks for the root partition on this machine, and then leaves fsck out of the initrd.
    root = next(TYPES[slot.filesystem] for slot in plan.disk.slots if slot.mount == "/")
    write_text(seed, "/etc/initramfs-tools/conf.d/boardwright", f"FSTYPE={root}\n")
    pins = render_pins(plan.recipe.archives)
    if pins:
        write_text(seed, "/etc/apt/preferences.d/boardwright", pins)
