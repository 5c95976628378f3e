# SPDX-License-Identifier: MIT
"""Build on this machine: install its tools, open a shell in a rootfs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder import compression, filesystem
from builder.cache.usage import in_use
from builder.choices import EmulationChoice
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
    *("mmdebstrap", "unshare", "setpriv", "sfdisk", *filesystem.PROGRAMS),
    *("losetup", "mount", "umount", *compression.PROGRAMS, "gpg"),
)


def install_tools(plan: Plan) -> None:
    """Install the missing Debian packages for a build on this machine; a note names them.

    Raises MachineError if they cannot be installed.
    """
    missing = [DEBIAN_PACKAGES[tool] for tool in TOOLS if not has_tool(tool)]
    if plan.recipe.architecture != run(["dpkg", "--print-architecture"]).stdout.strip():
        # The compiler makes the helper of the redirect; the builder image has the helper already.
        missing += [] if emulate.HELPER.exists() or has_tool("gcc") else ["gcc libc6-dev"]
        missing += _find_qemu_package(plan.recipe.architecture)
    missing += _find_keyring_packages(plan)
    if not missing:
        return
    names = [name for package in missing for name in package.split()]
    install_packages(names, why="this machine lacks some tools")


def _find_qemu_package(architecture: Architecture) -> list[str]:
    """Return the package of a missing static qemu-user: qemu-user-static up to Debian 12, then qemu-user."""
    try:
        emulate.find_qemu(architecture)
    except MachineError:
        return ["qemu-user-static" if can_install("qemu-user-static") else "qemu-user"]
    return []


def _find_keyring_packages(plan: Plan) -> list[str]:
    """Return the packages of missing keyrings. On Debian and Ubuntu, a package has the name of its keyring."""
    keyrings = (Path(archive.key.file or "") for archive in plan.recipe.archives.values())
    return [path.stem for path in keyrings if path.parent == SYSTEM_KEYRINGS and not path.exists()]


def enter_rootfs(state: Path, board: str, *, architecture: str) -> int:
    """Open a shell in the rootfs of a board's last build and return its exit code.

    The shell runs on an overlayfs: its changes are discarded. Builds of the same board wait until it ends.
    """
    load_room(state / "rooms" / board / "rootfs", state / "cache/layers", board)
    # A shell does not need twins: without them the same programs run by qemu-user.
    emulation = emulate.choose(architecture=architecture, wanted=EmulationChoice.QEMU)
    with (
        in_use(state),
        open_workspace(state, board) as workspace,
        _changeable(workspace, board, state / "cache/layers") as (tree, binds),
    ):
        return attach(
            emulate.command(emulation, ["/bin/bash", "-l"], rootfs=tree, chroot=True, binds=binds),
            env={"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"},
        )


@contextmanager
def _changeable(workspace: Workspace, board: str, layers: Path) -> Iterator[tuple[Path, dict[str, Path]]]:
    """Yield the rootfs below a new layer, with copies of the trees of its other filesystems."""
    stored = load_room(workspace.rootfs, layers, board)
    binds = {mount: workspace.scratch / tree_name(mount) for mount in stored.mounts}
    for mount, copy in binds.items():
        shutil.copytree(stored.directory / tree_name(mount), copy, symlinks=True)
    with changing(list_layers(stored, layers), workspace.scratch / "shell" / TREE, workspace) as (tree, _):
        yield tree, binds
