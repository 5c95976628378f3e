# SPDX-License-Identifier: MIT
"""Packages installed into a tree, by mmdebstrap.

mmdebstrap checks and unpacks with this machine's APT, and configures in the tree. It is given indexes and .debs that
are here already (archives.py). In a tree that has packages already it installs what is missing. What packages look at
while they are configured is there before the first of them: fstab, what the initrd must be able to check, APT's pins,
the mount point of the FAT partition.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.plan.model import Plan
from builder.rootfs import emulation as emulate
from builder.rootfs import namespaces
from builder.rootfs.apt.errors import explain
from builder.rootfs.apt.resolve import APT_OPTIONS
from builder.rootfs.bootloader import METHODS
from builder.rootfs.configure import link_firmware
from builder.rootfs.emulation import Emulation
from builder.rootfs.fstab import render_fstab
from builder.rootfs.model import FSTAB_TYPES
from builder.system.paths import write_text
from builder.system.process import run

ARCHIVES = "var/cache/apt/archives"
THREADS = str(min(4, os.cpu_count() or 1))
INSTALL = (
    # As mmdebstrap itself does: this machine's apt, which starts the dpkg of the tree in the tree.
    'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --option=Dpkg::Use-Pty=false'
    ' --option=DPkg::Chroot-Directory="$1" --option=Dir::Bin::dpkg=env --option=DPkg::Options::=--unset=TMPDIR'
    " --option=DPkg::Options::=dpkg install"
)
"""Install packages in a hook of mmdebstrap; they follow."""


@dataclass(frozen=True)
class Supplies:
    """What mmdebstrap is given, all of it in this directory."""

    directory: Path

    @property
    def debs(self) -> Path:
        """The .debs, under the names that APT looks for."""
        return self.directory / "debs"

    @property
    def lists(self) -> Path:
        """The indexes: apt's /var/lib/apt/lists."""
        return self.directory / "lists"

    @property
    def sources(self) -> Path:
        """Where they came from, as deb822."""
        return self.directory / "archives.sources"

    @property
    def seed(self) -> Path:
        """Files that are laid into the tree first."""
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
    """Install packages, the essential and the required ones into the directory `target`, empty or with packages.

    epoch  SOURCE_DATE_EPOCH of all that is run, in seconds

    Raises TrustError (a signature, key or digest is wrong), DownloadError (a package is not there), RecipeError (an
    archive has no such package), SpaceError, ToolError (a package failed to configure).
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
    """Return what programs that make a tree must know: the time, and how many threads zstd may have for an initrd.

    zstd writes the same with one thread as with any number of them. The home and the terminal of the caller are left
    out: what packages write must not depend on who builds.
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
        # Nothing is lost if the machine goes down now, and syncing each file of each package costs minutes.
        "--dpkgopt=force-unsafe-io",
        f'--setup-hook=cp -a {shlex.quote(f"{supplies.seed}/.")} "$1/"',
        # The indexes that were asked before: the same answer, and nothing to download.
        f'--setup-hook=cp -a {shlex.quote(f"{supplies.lists}/.")} "$1/var/lib/apt/lists/"',
        # Seen in the tree by a mount, which ends with the namespace this runs in: nothing is copied.
        f"--setup-hook=mkdir -p {archives} && mount --bind {debs} {archives}",
        # Kernels last: each makes its initrd when all that belongs into it is configured, and once. Among the others it
        # makes one at once, and dpkg's trigger makes that again at the end.
        *([f"--customize-hook={INSTALL} {shlex.join(last)}"] if last else []),
        # What the package apt has put there meanwhile stays.
        f"--customize-hook=umount {archives} && cp -a {debs}/partial {archives}/",
        # The target may hold the layers below, and the mount point of the twins.
        "--skip=update,check/empty",
        plan.recipe.suite,
        str(target),
        str(supplies.sources),
    ]


def write_base_seed(seed: Path, pins: str) -> None:
    """Write what the packages look at that all boards of a family share; `pins` are apt_preferences."""
    seed.mkdir(parents=True)
    write_text(seed, "/etc/hostname", f"{namespaces.HOST.decode()}\n")  # mmdebstrap has put this machine's there.
    if pins:
        write_text(seed, "/etc/apt/preferences.d/boardwright", pins)


def write_board_seed(plan: Plan, seed: Path, pins: str) -> None:
    """Write what the packages look at that is the board's: the same, and where which filesystem is."""
    write_base_seed(seed, pins)
    for slot in plan.disk.slots:
        (seed / slot.mount.lstrip("/")).mkdir(parents=True, exist_ok=True)
    link_firmware(plan, seed)
    write_text(seed, "/etc/fstab", render_fstab(plan, by="label"))
    # By itself initramfs-tools looks for the root partition on this machine, and then leaves fsck out of the initrd.
    root = next(FSTAB_TYPES[slot.filesystem] for slot in plan.disk.slots if slot.mount == "/")
    write_text(seed, "/etc/initramfs-tools/conf.d/boardwright", f"FSTYPE={root}\n")
    for path, text in METHODS[plan.recipe.boot.method].seed.items():
        write_text(seed, path, text)
