# SPDX-License-Identifier: MIT
"""Combine layers to one tree with overlayfs; each layer contains the changes to the layers below.

To build on a layer copies nothing, and cannot change that layer. Where overlayfs is unavailable, a layer is a whole
tree instead: a copy of the layers below, with the changes. This is so when the state directory is on overlayfs itself,
as in a container without a volume. Both kinds give the same files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.errors import ToolError
from builder.system.process import run
from builder.system.workspace import Workspace

# Set, because the defaults depend on the kernel, and a layer must not depend on the machine.
FEATURES = "index=off,redirect_dir=off,metacopy=off"


@dataclass(frozen=True)
class Layer:
    """A directory with the files of a layer."""

    tree: Path
    is_whole: bool
    """True if it is complete without the layers below."""


@contextmanager
def opened(layers: Sequence[Layer], workspace: Workspace, name: str) -> Iterator[Path]:
    """Yield one read-only tree of all layers (lowest first), mounted below the scratch directory."""
    needed = _find_needed(layers)
    if len(needed) == 1:
        yield needed[0].tree
        return
    target = workspace.scratch / name
    with _mounted(needed, target, workspace):
        yield target


@contextmanager
def changing(below: Sequence[Layer], tree: Path, workspace: Workspace) -> Iterator[tuple[Path, bool]]:
    """Yield a writable view of the layers `below`, and True if the new layer is a whole tree.

    At the end `tree` contains the new layer. It is created, below the scratch directory.
    """
    tree.mkdir(parents=True)
    tree.chmod(0o755)
    obstacle = find_obstacle(workspace) if below else ""
    if not below or obstacle:
        if obstacle:
            log.note(f"storing layers as whole trees: {obstacle}")
            with opened(below, workspace, f"{tree.parent.name}-below") as source:
                run(["cp", "--archive", "--reflink=auto", f"{source}/.", tree])
        yield tree, True
        return
    target, work = (workspace.scratch / f"{tree.parent.name}-{kind}" for kind in ("merged", "work"))
    work.mkdir()
    with _mounted(_find_needed(below), target, workspace, f",upperdir={_escape(tree)},workdir={_escape(work)}"):
        yield target, False


def _find_needed(layers: Sequence[Layer]) -> Sequence[Layer]:
    """Return the highest whole layer and all layers above it."""
    start = max(index for index, layer in enumerate(layers) if layer.is_whole)
    return layers[start:]


@contextmanager
def _mounted(layers: Sequence[Layer], target: Path, workspace: Workspace, more: str = "") -> Iterator[None]:
    target.mkdir()
    lower = ":".join(_escape(layer.tree) for layer in reversed(layers))
    with workspace.journal.holding("mount", target.resolve()):
        run(["mount", "-t", "overlay", "-o", f"{FEATURES},lowerdir={lower}{more}", "overlay", target])
        yield


def _escape(path: Path) -> str:
    """Return a path for a mount option of overlayfs, with commas and colons escaped."""
    return str(path).replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")


def find_obstacle(workspace: Workspace) -> str:
    """Try to mount overlayfs on the filesystem of the scratch directory. Return why it is unavailable, or ""."""
    probe = workspace.scratch / "probe"
    for name in ("lower", "upper", "work"):
        (probe / name).mkdir(parents=True, exist_ok=True)
    more = f",upperdir={_escape(probe / 'upper')},workdir={_escape(probe / 'work')}"
    target = workspace.scratch / "probe-merged"
    try:
        with _mounted([Layer(probe / "lower", is_whole=True)], target, workspace, more):
            # A mount may succeed although the first write fails.
            (target / "file").touch()
    except (ToolError, OSError) as error:
        return f"overlayfs: {str(error).splitlines()[-1].strip()}"
    finally:
        run(["rm", "-rf", probe])
        target.rmdir()
    return ""
