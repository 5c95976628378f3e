# SPDX-License-Identifier: MIT
"""Trees in layers: each holds what it adds to those below it, and overlayfs shows them as one.

Nothing is copied to start from a layer, and nothing that is done on top can change it. Where overlayfs cannot be had
(the state directory lies on an overlay itself, as in a container without a volume) a layer is a whole tree instead:
a copy of what is below, with the change in it. Both hold the same files.
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

# As if no kernel had other defaults: a layer must not depend on where it was made.
FEATURES = "index=off,redirect_dir=off,metacopy=off"


@dataclass(frozen=True)
class Layer:
    """A directory that holds a layer."""

    tree: Path
    is_whole: bool
    """It needs none of those below it."""


@contextmanager
def opened(layers: Sequence[Layer], workspace: Workspace, name: str) -> Iterator[Path]:
    """Yield the tree that layers are together, lowest first, to be read; it is seen below the scratch directory."""
    needed = _find_needed(layers)
    if len(needed) == 1:
        yield needed[0].tree
        return
    target = workspace.scratch / name
    with _mounted(needed, target, workspace):
        yield target


@contextmanager
def changing(below: Sequence[Layer], tree: Path, workspace: Workspace) -> Iterator[tuple[Path, bool]]:
    """Yield a directory that looks like `below` and may be changed, and whether the new layer is a whole one.

    At the end `tree`, to be made below the scratch directory, holds the new layer.
    """
    tree.mkdir(parents=True)
    tree.chmod(0o755)
    obstacle = find_obstacle(workspace) if below else ""
    if not below or obstacle:
        if obstacle:
            log.note(f"layers are whole trees here: {obstacle}")
            with opened(below, workspace, f"{tree.parent.name}-below") as source:
                run(["cp", "--archive", "--reflink=auto", f"{source}/.", tree])
        yield tree, True
        return
    target, work = (workspace.scratch / f"{tree.parent.name}-{kind}" for kind in ("merged", "work"))
    work.mkdir()
    with _mounted(_find_needed(below), target, workspace, f",upperdir={_escape(tree)},workdir={_escape(work)}"):
        yield target, False


def _find_needed(layers: Sequence[Layer]) -> Sequence[Layer]:
    """Return the layers from the highest whole one on."""
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
    """Return a path as an option of overlayfs, where commas and colons have a meaning."""
    return str(path).replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")


def find_obstacle(workspace: Workspace) -> str:
    """Try overlayfs for real, on the filesystem of the scratch directory. Return why it cannot be had, or nothing."""
    probe = workspace.scratch / "probe"
    for name in ("lower", "upper", "work"):
        (probe / name).mkdir(parents=True, exist_ok=True)
    more = f",upperdir={_escape(probe / 'upper')},workdir={_escape(probe / 'work')}"
    target = workspace.scratch / "probe-merged"
    try:
        with _mounted([Layer(probe / "lower", is_whole=True)], target, workspace, more):
            # It may mount and yet refuse the first write.
            (target / "file").touch()
    except (ToolError, OSError) as error:
        return f"overlayfs: {str(error).splitlines()[-1].strip()}"
    finally:
        run(["rm", "-rf", probe])
        target.rmdir()
    return ""
