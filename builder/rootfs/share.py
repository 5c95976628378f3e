# SPDX-License-Identifier: MIT
"""Layers that machines share, as archives in the store and in what lies behind it.

An archive is known by its digest, and so is the tree that comes out of it: what was damaged, or is not what its name
says, is not taken. It holds what GNU tar needs to give back owners, times, capabilities and the marks of overlayfs.
"""

from __future__ import annotations

import os
from pathlib import Path

from builder import log
from builder.errors import ToolError
from builder.rootfs.kept import XATTRS, Kept, find_intact, find_kept, set_aside
from builder.rootfs.overlay import find_obstacle
from builder.run import run
from builder.store import Store
from builder.workspace import Workspace

KEPT = [f"--xattrs-include={name}*" for name in XATTRS]


def send_layer(store: Store, kept: Kept, workspace: Workspace) -> None:
    """Give a finished layer to those who share the store."""
    if not store.is_sent_on:
        return
    name = kept.directory.name
    archive = workspace.scratch / f"{name}.tar.zst"
    with log.step(f"pack {name}"):
        # Sorted, and without the times of access that --format=posix would add: the same layer is the same archive.
        run(
            ["tar", "--create", "--zstd", f"--file={archive}", "--format=posix", "--sort=name", "--numeric-owner",
             "--pax-option=delete=atime,delete=ctime", "--xattrs", *KEPT, f"--directory={kept.directory}", "."],
            env={"ZSTD_NBTHREADS": str(os.cpu_count() or 1)},
        )  # fmt: skip
        store.set_ref(f"layer/{name}", store.take(archive), {"digest": kept.digest})


def take_layer(store: Store, directory: Path, workspace: Workspace) -> Kept | None:
    """Return a layer that another machine has made, unpacked to `directory`; None when there is none to be used."""
    name = directory.name
    ref = store.find_ref(f"layer/{name}")
    archive, aside = workspace.scratch / f"{name}.tar.zst", workspace.scratch / f"taken-{name}"
    if ref is None or not store.place(ref.sha256, archive):
        return None
    aside.mkdir()
    with log.step(f"unpack {name}"):
        try:
            run(["tar", "--extract", f"--file={archive}", "--zstd", "--same-permissions", "--numeric-owner",
                 "--xattrs", *KEPT, f"--directory={aside}"])  # fmt: skip
        except ToolError as error:
            log.warn(f"layer {name} of the shared cache cannot be unpacked; it is not taken: {error.message}")
            return None
        kept = find_intact(aside)
    if kept is None or (not kept.is_whole and find_obstacle(workspace)):
        return None
    set_aside(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    aside.rename(directory)
    return find_kept(directory)
