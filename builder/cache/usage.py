# SPDX-License-Identifier: MIT
"""Caches of a state directory and their size limit: packages, downloads, indexes, twins, layers, the boards' rootfs.

    STATE/cache/store      .debs by digest
    STATE/cache/files      other downloads by digest
    STATE/cache/apt        indexes of the archives
    STATE/cache/twins      native twins of foreign programs
    STATE/cache/layers     packages installed, shared by boards
    STATE/rooms/*/rootfs   the finished system of each board's last build
    STATE/cache/in-use     locked, shared, by every build

The least recently used item is removed first. A .deb may be removed at any time, a rootfs if its board is not in use,
the rest only if no build runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from builder.cache.store import Store
from builder.system.locks import locked
from builder.system.paths import remove_tree
from builder.system.trusted_state import check_parts
from builder.units import GIB

CACHE_BYTES = 10 * GIB
"""Default size limit."""
DEEPEST = 16
"""Levels of directories that are looked at."""


@dataclass(frozen=True)
class CacheItem:
    """Something that is kept; `used` is when it was last used, in seconds since 1970."""

    kind: str
    """package, download, index, twins, layer or rootfs."""
    name: str
    path: Path
    size_bytes: int
    used: float


def find_items(state: Path) -> list[CacheItem]:
    """Return all cached items, least recently used first; MachineError for a link that leads elsewhere."""
    check_caches(state)
    store, cache = Store(state / "cache/store"), state / "cache"
    names = {ref.sha256: ref.name.removeprefix("deb/") for ref in store.refs()}
    items = [
        CacheItem("package", names.get(entry.sha256, entry.sha256), entry.path, entry.size_bytes, entry.used)
        for entry in store.entries()
    ]
    for kind, paths in (
        ("download", cache.glob("files/[0-9a-f]*")),
        ("index", (path for path in cache.glob("apt/*") if path.is_dir())),
        ("index", cache.glob("twins/apt-*")),
        ("twins", cache.glob("twins/*-for-*")),
        ("layer", (path for path in cache.glob("layers/*") if path.is_dir() and not path.name.startswith("."))),
        ("rootfs", (state / "rooms").glob("*/rootfs")),
    ):
        items += [_describe(kind, path) for path in paths]
    return sorted(items, key=lambda item: (item.used, item.name))


def shrink(state: Path, limit_bytes: int) -> list[CacheItem]:
    """Remove what was not used for longest until `limit_bytes` are left, and what killed builds left in the store.

    Returns what was removed. What is in use stays, even if that is more than the limit.
    """
    store = Store(state / "cache/store")
    items = find_items(state)
    total = sum(item.size_bytes for item in items)
    removed = []
    with locked(state / "cache/in-use", wait=False) as nobody_builds:
        for item in items:
            if total <= limit_bytes:
                break
            if _remove(item, state, store, nobody_builds=nobody_builds):
                removed.append(item)
                total -= item.size_bytes
        if nobody_builds:
            for pattern in ("rooms/*/*.doomed", "cache/*/*.doomed"):
                for path in state.glob(pattern):
                    remove_tree(path)
    store.clean()
    return removed


@contextmanager
def in_use(state: Path) -> Iterator[None]:
    """Mark the caches as in use: only .debs are removed until the block ends. MachineError for a link."""
    check_caches(state)
    with locked(state / "cache/in-use", shared=True):
        yield


def check_caches(state: Path) -> None:
    """Raise MachineError for a link in directories whose files are written and removed by name, so not in trees of
    systems."""
    cache = state / "cache"
    check_parts(cache, 2)
    for part in (cache / "apt", cache / "files", cache / "store", *cache.glob("twins/apt-*/")):
        check_parts(part, DEEPEST)
    check_parts(state / "rooms", 2)
    check_parts(state / "locks", 1)


def _describe(kind: str, path: Path) -> CacheItem:
    name = path.parent.name if kind == "rootfs" else path.name
    record = path / "made.json"
    used = (record if record.exists() else path).stat().st_mtime
    return CacheItem(kind, name, path, _measure(path), used)


def _measure(path: Path) -> int:
    """Return the bytes that a file, or a directory with all below it, takes on the disk."""
    if not path.is_dir():
        return path.lstat().st_blocks * 512
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512  # noqa: PTH118 - many files
    return total


def _remove(item: CacheItem, state: Path, store: Store, *, nobody_builds: bool) -> bool:
    if item.kind == "package":
        store.drop(item.path.name)
        return True
    if item.kind == "rootfs":
        with locked(state / "locks" / item.name, wait=False) as is_free:
            return is_free and _delete(item.path)
    return nobody_builds and _delete(item.path)


def _delete(path: Path) -> bool:
    if path.is_dir():
        # Not removed in place: a kill would leave half of it under its name.
        doomed = path.with_name(f".{path.name}.doomed")
        with suppress(FileNotFoundError):
            remove_tree(doomed)
        path.rename(doomed)
        remove_tree(doomed)
    else:
        path.unlink(missing_ok=True)
    return True
