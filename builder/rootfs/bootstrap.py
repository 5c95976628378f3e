# SPDX-License-Identifier: MIT
"""Install packages into a tree with mmdebstrap.

mmdebstrap verifies and unpacks with this machine's APT, and configures packages in the tree. Its indexes and .debs
are already on this machine (apt/archives.py). In a tree that has packages, it installs the missing ones. Files that
package scripts read are written before the first package: fstab, the filesystem types that the initrd must check,
APT's pins and the mount point of the FAT partition.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.boot_methods.table import find_boot_program
from builder.plan.model import Plan
from builder.rootfs import emulation as emulate
from builder.rootfs import namespaces
from builder.rootfs.apt.errors import explain
from builder.rootfs.apt.resolve import APT_OPTIONS
from builder.rootfs.configure import link_firmware
from builder.rootfs.emulation import Emulation
from builder.rootfs.fstab import render_fstab
from builder.system.paths import write_text
from builder.system.process import run

ARCHIVES = "var/cache/apt/archives"
THREADS = str(min(4, os.cpu_count() or 1))
INSTALL = (
    # The same call as in mmdebstrap: this machine's apt starts the tree's dpkg in the tree.
    'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --option=Dpkg::Use-Pty=false'
    ' --option=DPkg::Chroot-Directory="$1" --option=Dir::Bin::dpkg=env --option=DPkg::Options::=--unset=TMPDIR'
    " --option=DPkg::Options::=dpkg install"
)
"""Command for a hook of mmdebstrap that installs packages; their names are appended."""


@dataclass(frozen=True)
class Supplies:
    """Directory with all input files of mmdebstrap."""

    directory: Path

    @property
    def debs(self) -> Path:
        """The .debs, under the file names that APT expects."""
        return self.directory / "debs"

    @property
    def lists(self) -> Path:
        """The indexes: apt's /var/lib/apt/lists."""
        return self.directory / "lists"

    @property
    def sources(self) -> Path:
        """The archives that they came from, as deb822 sources."""
        return self.directory / "archives.sources"

    @property
    def seed(self) -> Path:
        """Files that are copied into the tree first."""
        return self.directory / "seed"


def install_packages(
    plan: Plan,
    names: Sequence[str],
    emulation: Emulation,
    supplies: Supplies,
    *,
    target: Path,
    epoch: int,
    log_file: Path,
) -> None:
    """Install `names`, the essential and the required packages into the directory `target`.

    target  an empty directory, or a tree that has packages
    epoch   SOURCE_DATE_EPOCH for all commands, in seconds

    Raises TrustError (wrong signature, key or digest), DownloadError (a package file is missing), RecipeError (no
    archive has the package), SpaceError, ToolError (a package failed to configure).
    """
    result = run(
        emulate.command(emulation, _mmdebstrap(plan, names, emulation, supplies, target), rootfs=target, syncs=False),
        env=make_environment(epoch),
        ok=range(256),
        log_file=log_file,
        name="mmdebstrap",
    )
    if result.code:
        raise explain(result, plan, log_file, name="mmdebstrap")


def make_environment(epoch: int) -> dict[str, str]:
    """Return the environment of programs that build a tree: the time, and the number of zstd threads for an initrd.

    zstd writes the same bytes with any number of threads. HOME and TERM are fixed: files that packages write must not
    depend on the caller.
    """
    return {"SOURCE_DATE_EPOCH": str(epoch), "ZSTD_NBTHREADS": THREADS, "HOME": "/root", "TERM": "dumb"}


def _mmdebstrap(plan: Plan, names: Sequence[str], emulation: Emulation, supplies: Supplies, target: Path) -> list[str]:
    archives, debs = f'"$1/{ARCHIVES}"', shlex.quote(str(supplies.debs))
    kernels = plan.recipe.kernel.packages
    first, last = [name for name in names if name not in kernels], [name for name in names if name in kernels]
    return [
        "mmdebstrap",
        *emulate.mmdebstrap_options(emulation),
        "--variant=minbase",
        "--format=directory",
        *([f"--include={','.join(first)}"] if first else []),
        *(f"--aptopt={option}" for option in APT_OPTIONS),
        # Syncing every file of every package costs minutes. After a power cut the tree is built again anyway.
        "--dpkgopt=force-unsafe-io",
        f'--setup-hook=cp -a {shlex.quote(f"{supplies.seed}/.")} "$1/"',
        # The indexes that were already resolved: the same result, and nothing to download.
        f'--setup-hook=cp -a {shlex.quote(f"{supplies.lists}/.")} "$1/var/lib/apt/lists/"',
        # A bind mount instead of a copy. It ends with the mount namespace of this command.
        f"--setup-hook=mkdir -p {archives} && mount --bind {debs} {archives}",
        # Kernels last, so that each initrd is created once, when all packages are configured. Installed with the other
        # packages, a kernel would create its initrd at once, and dpkg's trigger would create it again at the end.
        *([f"--customize-hook={INSTALL} {shlex.join(last)}"] if last else []),
        # Keep the files that the package apt has put there meanwhile.
        f"--customize-hook=umount {archives} && cp -a {debs}/partial {archives}/",
        # The target may contain the layers below, and the mount point of the twins.
        "--skip=update,check/empty",
        plan.recipe.suite,
        str(target),
        str(supplies.sources),
    ]


def write_base_seed(seed: Path, pins: str) -> None:
    """Write the files for package scripts that all boards of a family share; `pins` are apt_preferences."""
    seed.mkdir(parents=True)
    write_text(seed, "/etc/hostname", f"{namespaces.HOST.decode()}\n")  # Replaces mmdebstrap's copy of this machine's.
    if pins:
        write_text(seed, "/etc/apt/preferences.d/boardwright", pins)


def write_board_seed(plan: Plan, seed: Path, pins: str) -> None:
    """Write the files for package scripts of one board: those of its family, fstab, initrd and boot files."""
    write_base_seed(seed, pins)
    for slot in plan.disk.slots:
        (seed / slot.mount.lstrip("/")).mkdir(parents=True, exist_ok=True)
    link_firmware(plan, seed)
    write_text(seed, "/etc/fstab", render_fstab(plan, by="label"))
    # Without this line initramfs-tools inspects the root partition of this machine, and leaves fsck out of the initrd.
    root = next(slot.filesystem.row.linux for slot in plan.disk.slots if slot.mount == "/")
    write_text(seed, "/etc/initramfs-tools/conf.d/boardwright", f"FSTYPE={root}\n")
    for path, text in find_boot_program(plan).seed.items():
        write_text(seed, path, text)
