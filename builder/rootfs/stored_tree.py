# SPDX-License-Identifier: MIT
"""Finished trees that later builds take: the layers that boards share, and the system in each board's room.

CACHE/layers/<step>-<suite>-<architecture>-<key>/   a layer: what `base` or `packages` adds
STATE/rooms/<board>/rootfs/                         what `system` adds, for the board's last build
    tree/           of "/"
    boot-firmware/  the tree of /boot/firmware, and so on (in a room only)
    made.json       what it was made from, what lies below it, and one digest of all names, contents, modes and times

A tree is compared with its digest before it is used, so one that was damaged or written into is found, and never used.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from builder import log
from builder.errors import MachineError
from builder.rootfs.apt.supply import UNKNOWN, Supply
from builder.rootfs.inputs import Origins
from builder.rootfs.model import Package, Rootfs
from builder.rootfs.overlayfs import Layer, opened
from builder.rootfs.records import load_tree_record
from builder.system.checksums import sha256_file
from builder.system.files import InputError, read_bytes
from builder.system.workspace import Workspace

RECORD = "made.json"
TREE = "tree"
XATTRS = ("security.", "user.", "trusted.overlay.opaque")
"""Extended attributes that mean something; overlayfs keeps other notes for itself."""


@dataclass(frozen=True)
class Kept:
    """A finished directory."""

    directory: Path
    is_whole: bool
    below: tuple[str, ...]
    """Names of the layers that it lies on, lowest first."""
    mounts: tuple[str, ...]
    """Mount points whose trees lie beside that of "/"."""
    packages: tuple[Package, ...]
    """All that are installed, those of the layers below included."""
    origins: Origins
    """Of its step and of those below; none when it may be entered, but not be taken for a build."""
    digest: str
    supply: Supply = UNKNOWN
    """Where the packages come from; of a room."""

    @property
    def layer(self) -> Layer:
        """Its tree of "/"."""
        return Layer(self.directory / TREE, self.is_whole)


def tree_name(mount: str) -> str:
    """Return the directory name of the tree of a mount point."""
    return mount.strip("/").replace("/", "-") if mount != "/" else TREE


def write_kept(
    directory: Path,
    *,
    is_whole: bool,
    below: Sequence[Kept],
    packages: Sequence[Package],
    origins: Origins,
    mounts: Sequence[str] = (),
    supply: Supply = UNKNOWN,
) -> None:
    """Write what the trees in `directory` are; it may be moved afterwards."""
    record = {
        "is_whole": is_whole,
        "below": [kept.directory.name for kept in below],
        "mounts": list(mounts),
        "packages": [astuple(package) for package in packages],
        "origins": {step: asdict(origin) for step, origin in origins.items()},
        "digest": digest_trees(directory),
        "supply": asdict(supply),
    }
    (directory / RECORD).write_text(json.dumps(record), encoding="utf-8")


def find_kept(directory: Path) -> Kept | None:
    """Return what is in `directory`, or None when no build has finished there. Its trees are not looked at."""
    return read_kept(directory / RECORD)


def read_kept(file: Path) -> Kept | None:
    """Return what a record says of the directory it is in; None when it is not there or cannot be read: a state
    directory may come with a repository of a stranger, in which a record can be a pipe, or a link to a device."""
    try:
        record = load_tree_record(read_bytes(file, within=file.parent))
    except InputError:
        return None
    if record is None:
        return None
    return Kept(
        file.parent,
        record.is_whole,
        record.below,
        record.mounts,
        record.installed,
        record.made_from,
        record.digest,
        record.supply.supply,
    )


def find_intact(directory: Path) -> Kept | None:
    """Return what is in `directory` if nobody has changed it since; it then counts as used now."""
    kept = find_kept(directory)
    if kept is None:
        return None
    if digest_trees(directory) != kept.digest:
        log.warn(f"{directory} is damaged, or somebody has changed it; it is not used")
        return None
    (directory / RECORD).touch()
    _mark_as_read(directory)
    return kept


def _mark_as_read(directory: Path) -> None:
    """Give all files the present as their time of access, which the kernel does once a day only.

    mke2fs copies that time where it is before the image's own, and each such inode has to be corrected afterwards.
    """
    now_ns = time.time_ns()
    for path, _, files in os.walk(directory):
        for name in [".", *files]:
            each = os.path.join(path, name)  # noqa: PTH118 - 25,000 files: Path objects cost seconds
            os.utime(each, ns=(now_ns, os.lstat(each).st_mtime_ns), follow_symlinks=False)


def find_stack(kept: Kept, layers: Path) -> tuple[Kept, ...] | None:
    """Return what lies below, lowest first, all of it intact; None when something is missing."""
    found = [find_intact(layers / name) for name in kept.below]
    stack = tuple(each for each in found if each)
    return stack if len(stack) == len(found) else None


def list_layers(kept: Kept, layers: Path) -> list[Layer]:
    """Return all that its tree of "/" consists of, lowest first."""
    return [*(each.layer for name in kept.below if (each := find_kept(layers / name))), kept.layer]


@contextmanager
def opened_rootfs(kept: Kept, layers: Path, workspace: Workspace) -> Iterator[Rootfs]:
    """Yield the rootfs of a room, its layers seen as one tree; its layers were found before."""
    with ExitStack() as held:
        root = held.enter_context(opened(list_layers(kept, layers), workspace, "rootfs"))
        trees = {mount: kept.directory / tree_name(mount) for mount in kept.mounts}
        yield Rootfs({"/": root, **trees}, kept.packages)


def load_room(directory: Path, layers: Path, board: str) -> Kept:
    """Return the rootfs of a board's last build; MachineError when there is none, or a layer of it is gone."""
    kept = find_kept(directory)
    if kept is None or not all(find_kept(layers / name) for name in kept.below):
        raise MachineError(
            f"board {board} has no finished rootfs here", hint=f"build it first: boardwright build {board}"
        )
    return kept


def digest_trees(directory: Path) -> str:
    """Return one digest of name, kind, mode, owner, time, attributes and content of all that is in the trees."""
    entries = list(_describe(str(directory), ""))
    state = hashlib.sha256()
    with ThreadPoolExecutor() as pool:  # Hashing lets go of Python's lock.
        for text, content in zip(
            (text for text, _ in entries), pool.map(_digest_content, (path for _, path in entries), chunksize=256),
            strict=True,
        ):  # fmt: skip
            state.update(text.encode(errors="surrogateescape") + content.encode())
    return state.hexdigest()


def _describe(path: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield what can be said without reading, and the path of what must be read, each directory before what is in it.

    Not by a call for each level: a tree that another machine made may be of any depth.
    """
    open_directories = [(name, iter(_scan(path)))]
    while open_directories:
        name, entries = open_directories[-1]
        entry = next(entries, None)
        if entry is None:
            open_directories.pop()
            continue
        if not name and entry.name == RECORD:
            continue
        here = f"{name}/{entry.name}"
        stat = entry.stat(follow_symlinks=False)
        is_file = entry.is_file(follow_symlinks=False)
        link = os.readlink(entry.path) if entry.is_symlink() else ""  # noqa: PTH115 - 25,000 files: Path costs seconds
        facts = (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev, int(stat.st_mtime), link, _xattrs(entry.path))
        yield "\0".join([here, *map(str, facts), "\n"]), entry.path if is_file else ""
        if entry.is_dir(follow_symlinks=False):
            open_directories.append((here, iter(_scan(entry.path))))


def _scan(path: str) -> list[os.DirEntry[str]]:
    with os.scandir(path) as scan:
        return sorted(scan, key=lambda entry: entry.name)


def _xattrs(path: str) -> str:
    names = [name for name in os.listxattr(path, follow_symlinks=False) if name.startswith(XATTRS)]
    return " ".join(f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}" for name in sorted(names))


def _digest_content(path: str) -> str:
    return sha256_file(path) if path else ""


def set_aside(directory: Path) -> None:
    """Take the name from a directory that may be there. It goes when nobody builds: another may have it mounted."""
    with suppress(FileNotFoundError):
        directory.rename(directory.with_name(f".{directory.name}.{os.urandom(4).hex()}.doomed"))
