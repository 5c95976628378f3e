# SPDX-License-Identifier: MIT
"""This machine as the place of a build: its tools, and a shell in what it built."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.cache.usage import in_use
from builder.choices import EmulationChoice
from builder.compression import PROGRAMS
from builder.engine.apt import can_install, install_packages
from builder.errors import MachineError
from builder.plan.model import Plan
from builder.recipe.model import Architecture
from builder.rootfs import emulation as emulate
from builder.rootfs.apt.sources import SYSTEM_KEYRINGS
from builder.rootfs.overlayfs import changing
from builder.rootfs.stored_tree import TREE, list_layers, load_room, tree_name
from builder.system.process import attach, run
from builder.system.tools import DEBIAN_PACKAGES, has_tool
from builder.system.workspace import Workspace, open_workspace

TOOLS = (
    *("mmdebstrap", "unshare", "setpriv", "sfdisk", "mke2fs", "e2fsck", "debugfs", "dumpe2fs"),
    *("mformat", "mcopy", "mmd", "fsck.vfat", "losetup", "mount", "umount", *PROGRAMS, "gpg"),
)


def install_tools(plan: Plan) -> None:
    """Install the Debian packages that a build here needs and that are missing, after saying which.

    Raises MachineError when they cannot be installed.
    """
    missing = [DEBIAN_PACKAGES[tool] for tool in TOOLS if not has_tool(tool)]
    if plan.recipe.architecture != run(["dpkg", "--print-architecture"]).stdout.strip():
        # The compiler makes the redirect's helper, where the builder image has not brought it.
        missing += [] if emulate.HELPER.exists() or has_tool("gcc") else ["gcc libc6-dev"]
        missing += _find_qemu_package(plan.recipe.architecture)
    missing += _find_keyring_packages(plan)
    if not missing:
        return
    names = [name for package in missing for name in package.split()]
    install_packages(names, why="this machine lacks some tools")


def _find_qemu_package(architecture: Architecture) -> list[str]:
    """Static qemu-user is a package of its own up to Debian 12; later qemu-user itself is static."""
    try:
        emulate.find_qemu(architecture)
    except MachineError:
        return ["qemu-user-static" if can_install("qemu-user-static") else "qemu-user"]
    return []


def _find_keyring_packages(plan: Plan) -> list[str]:
    """Ubuntu does not have Debian's keys, and Debian not Ubuntu's: each is a package of that name on both."""
    keyrings = (Path(archive.key.file or "") for archive in plan.recipe.archives.values())
    return [path.stem for path in keyrings if path.parent == SYSTEM_KEYRINGS and not path.exists()]


def enter_rootfs(state: Path, board: str, *, architecture: str) -> int:
    """Open a shell in the rootfs of a board's last build and return its exit code.

    The shell works on an overlay: what it changes is thrown away. Builds of the same board wait until it ends.
    """
    load_room(state / "rooms" / board / "rootfs", state / "cache/layers", board)
    # A shell is not worth making twins for: without them the same programs run by qemu-user.
    how = emulate.choose(architecture=architecture, wanted=EmulationChoice.QEMU)
    with (
        in_use(state),
        open_workspace(state, board) as workspace,
        _changeable(workspace, board, state / "cache/layers") as (tree, binds),
    ):
        return attach(
            emulate.command(how, ["/bin/bash", "-l"], rootfs=tree, chroot=True, binds=binds),
            env={"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"},
        )


@contextmanager
def _changeable(workspace: Workspace, board: str, layers: Path) -> Iterator[tuple[Path, dict[str, Path]]]:
    """Yield the rootfs under a layer of its own, with copies of the trees of its other filesystems."""
    kept = load_room(workspace.rootfs, layers, board)
    binds = {mount: workspace.scratch / tree_name(mount) for mount in kept.mounts}
    for mount, copy in binds.items():
        shutil.copytree(kept.directory / tree_name(mount), copy, symlinks=True)
    with changing(list_layers(kept, layers), workspace.scratch / "shell" / TREE, workspace) as (tree, _):
        yield tree, binds
