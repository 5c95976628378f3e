# SPDX-License-Identifier: MIT
"""Store finished trees for later builds: layers that boards share, and the system in each board's room.

CACHE/layers/<step>-<suite>-<architecture>-<key>/   a layer `base` or `packages`
STATE/rooms/<board>/rootfs/                         the layer `system` of the board's last build
    tree/           the tree of "/"
    boot-firmware/  the tree of /boot/firmware, and so on (in a room only)
    made.json       its inputs, the layers below, and one digest of all names, contents, modes and times

The digest is checked before each use, so a damaged or changed tree is never used.
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
from builder.rootfs.inputs import StageInputs
from builder.rootfs.model import InstalledPackage, Rootfs
from builder.rootfs.overlayfs import Layer, opened
from builder.rootfs.records import load_tree_record
from builder.system.checksums import sha256_file
from builder.system.files import InputError, read_bytes
from builder.system.workspace import Workspace

RECORD = "made.json"
TREE = "tree"
XATTRS = ("security.", "user.", "trusted.overlay.opaque")
"""Extended attributes that belong to the content. Other attributes of overlayfs are internal."""


@dataclass(frozen=True)
class StoredTree:
    """A directory with finished trees."""

    directory: Path
    is_whole: bool
    below: tuple[str, ...]
    """Names of the layers below, lowest first."""
    mounts: tuple[str, ...]
    """Mount points that have a tree beside the tree of "/"."""
    packages: tuple[InstalledPackage, ...]
    """All installed packages, also of the layers below."""
    origins: StageInputs
    """Inputs of this layer and of the layers below; empty if builds must not reuse it (a shell may)."""
    digest: str
    supply: Supply = UNKNOWN
    """Archives of the packages; known for a room only."""

    @property
    def layer(self) -> Layer:
        """The tree of "/" as a layer."""
        return Layer(self.directory / TREE, self.is_whole)


def tree_name(mount: str) -> str:
    """Return the directory name of the tree of a mount point."""
    return mount.strip("/").replace("/", "-") if mount != "/" else TREE


def write_stored_tree(
    directory: Path,
    *,
    is_whole: bool,
    below: Sequence[StoredTree],
    packages: Sequence[InstalledPackage],
    origins: StageInputs,
    mounts: Sequence[str] = (),
    supply: Supply = UNKNOWN,
) -> None:
    """Write the record of the trees in `directory`; the directory may be moved afterwards."""
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


def find_stored_tree(directory: Path) -> StoredTree | None:
    """Return the record of `directory`, or None if no build has finished there. The trees are not checked."""
    return read_kept(directory / RECORD)


def read_kept(file: Path) -> StoredTree | None:
    """Return a record; None if it is missing or unreadable.

    A state directory may be part of an untrusted repository, where a record can be a pipe or a link to a device.
    """
    try:
        record = load_tree_record(read_bytes(file, within=file.parent))
    except InputError:
        return None
    if record is None:
        return None
    return StoredTree(
        file.parent,
        record.is_whole,
        record.below,
        record.mounts,
        record.installed,
        record.made_from,
        record.digest,
        record.supply.supply,
    )


def find_intact(directory: Path) -> StoredTree | None:
    """Return the record of `directory` if its trees are unchanged, and set the time of its last use; else None."""
    kept = find_stored_tree(directory)
    if kept is None:
        return None
    if digest_trees(directory) != kept.digest:
        log.warn(f"{directory} is damaged or was changed; it is not used")
        return None
    (directory / RECORD).touch()
    _mark_as_read(directory)
    return kept


def _mark_as_read(directory: Path) -> None:
    """Set the access time of all files to now, which the kernel does once a day only.

    mke2fs copies an access time that is older than the image's time, and each such inode must be corrected later.
    """
    now_ns = time.time_ns()
    for parent, _, files in os.walk(directory):
        for name in [".", *files]:
            path = os.path.join(parent, name)  # noqa: PTH118 - 25,000 files: Path objects cost seconds
            os.utime(path, ns=(now_ns, os.lstat(path).st_mtime_ns), follow_symlinks=False)


def find_stack(kept: StoredTree, layers: Path) -> tuple[StoredTree, ...] | None:
    """Return the layers below, lowest first; None if one is missing or changed."""
    candidates = [find_intact(layers / name) for name in kept.below]
    stack = tuple(layer for layer in candidates if layer)
    return stack if len(stack) == len(candidates) else None


def list_layers(kept: StoredTree, layers: Path) -> list[Layer]:
    """Return all layers of the tree of "/", lowest first."""
    return [*(below.layer for name in kept.below if (below := find_stored_tree(layers / name))), kept.layer]


@contextmanager
def open_rootfs(kept: StoredTree, layers: Path, workspace: Workspace) -> Iterator[Rootfs]:
    """Yield the rootfs of a room, with its layers mounted as one tree. All layers must exist."""
    with ExitStack() as stack:
        root = stack.enter_context(opened(list_layers(kept, layers), workspace, "rootfs"))
        trees = {mount: kept.directory / tree_name(mount) for mount in kept.mounts}
        yield Rootfs({"/": root, **trees}, kept.packages)


def load_room(directory: Path, layers: Path, board: str) -> StoredTree:
    """Return the rootfs of a board's last build; raise MachineError if it or one of its layers is missing."""
    kept = find_stored_tree(directory)
    if kept is None or not all(find_stored_tree(layers / name) for name in kept.below):
        raise MachineError(
            f"board {board} has no finished rootfs here", hint=f"build it first: boardwright build {board}"
        )
    return kept


def digest_trees(directory: Path) -> str:
    """Return one digest of name, type, mode, owner, time, attributes and content of all entries in the trees."""
    entries = list(_describe(str(directory), ""))
    state = hashlib.sha256()
    with ThreadPoolExecutor() as pool:  # Hashing releases Python's global lock.
        for text, content in zip(
            (text for text, _ in entries), pool.map(_digest_content, (path for _, path in entries), chunksize=256),
            strict=True,
        ):  # fmt: skip
            state.update(text.encode(errors="surrogateescape") + content.encode())
    return state.hexdigest()


def _describe(path: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield (metadata as text, path of a file to hash or "") for each entry; a directory before its content.

    Not recursive, because a tree from another machine may be of any depth.
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
    """Rename a directory, if it exists, so that its name is free.

    Another build may have it mounted, so it is deleted later, when no build runs.
    """
    with suppress(FileNotFoundError):
        directory.rename(directory.with_name(f".{directory.name}.{os.urandom(4).hex()}.doomed"))
