# SPDX-License-Identifier: MIT
"""Remove from a tree what must not be in an image: traces of the build, and files that each board must create itself.

The result must not depend on when or where the build ran: two builds of one plan leave the same tree.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from builder.recipe.written_paths import EMPTIED
from builder.rootfs.model import RESOLVER
from builder.rootfs.private_keys import remove_own_keys
from builder.system.paths import resolve_inside, write_text

OF_THIS_MACHINE = (
    # copied by mmdebstrap for each layer
    "etc/resolv.conf",
    "etc/hostname",
    # contain paths of keys on this machine
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*",
    "etc/apt/preferences.d/boardwright",
)
"""More paths that a layer must not contain: other layers, also on other machines, are built on it."""


def clean_layer(rootfs: Path) -> None:
    """Remove traces of the build from a layer, and files that the next layer writes again."""
    for pattern in (*EMPTIED, *OF_THIS_MACHINE):
        _remove(rootfs, pattern)
    remove_own_keys(rootfs)


def clean_tree(rootfs: Path) -> None:
    """Remove traces of the build, and leave machine-id empty so that the first boot creates it."""
    for pattern in EMPTIED:
        _remove(rootfs, pattern)
    remove_own_keys(rootfs)
    machine_id = rootfs / "etc/machine-id"
    machine_id.unlink(missing_ok=True)
    write_text(rootfs, "/etc/machine-id", "", mode=0o444)
    resolver = rootfs / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to(RESOLVER)


def remove_compiled(rootfs: Path, known: Collection[str]) -> None:
    """Remove compiled Python files of the system, but those in `known` (paths in the tree).

    A script of the board may have left them. Python runs them instead of the source, and no package lists them.
    """
    for directory in resolve_inside(rootfs, "/usr/lib").glob("python3*"):
        inside = resolve_inside(rootfs, f"/{directory.relative_to(rootfs)}")  # A script may have replaced it by a link.
        for path in list(inside.rglob("*.pyc")):
            if f"/{path.relative_to(rootfs)}" not in known:
                path.unlink()


def _remove(rootfs: Path, pattern: str) -> None:
    for path in list(_find(rootfs, rootfs, pattern.split("/"))):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # Listed twice if a link leads to its directory.


def _find(rootfs: Path, directory: Path, parts: list[str]) -> Iterator[Path]:
    """Yield the paths in the tree that match a pattern. A plain glob would follow /var/tmp -> /tmp out of the tree."""
    here = resolve_inside(rootfs, "/" + directory.relative_to(rootfs).as_posix())
    names = sorted(path for path in here.iterdir() if fnmatchcase(path.name, parts[0])) if here.is_dir() else []
    for path in names:
        if parts[1:]:
            yield from _find(rootfs, path, parts[1:])
        else:
            yield path


def clamp_times(tree: Path, epoch: int) -> None:
    """Lower times of modification above `epoch` (seconds since 1970) to `epoch`, as SOURCE_DATE_EPOCH demands."""
    limit = epoch * 1_000_000_000
    for directory, subdirectories, files in os.walk(tree, topdown=False):
        for name in [*subdirectories, *files]:
            _clamp(os.path.join(directory, name), limit)  # noqa: PTH118 - 25,000 files: Path objects cost seconds
    _clamp(str(tree), limit)


def _clamp(path: str, limit_ns: int) -> None:
    if os.lstat(path).st_mtime_ns > limit_ns:
        os.utime(path, ns=(limit_ns, limit_ns), follow_symlinks=False)
