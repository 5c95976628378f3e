# SPDX-License-Identifier: MIT
"""Share layers between machines, as archives in the store and in the shared cache behind it.

The archive has a digest, and so has the tree in it. A layer that is damaged or has another name is not used. GNU tar
restores its owners, times, capabilities and overlayfs attributes.

Everyone who may write to the shared cache can change which archive a name refers to. So a layer is used only if it has
the expected inputs and packages, and its files have the digests of dpkg's lists. All of these are in the layer itself,
so a careful forgery passes. An archive is unpacked only if it is not much larger than its packages can become. If a key
is set, which only trusted builds should have, only layers signed with it are used.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.cache.store import Store, StoreRef
from builder.disk.open_image import unpacked
from builder.errors import RecipeError, ToolError
from builder.rootfs.inputs import StageInputs
from builder.rootfs.installed import read_packages
from builder.rootfs.overlayfs import find_obstacle
from builder.rootfs.stored_tree import RECORD, TREE, XATTRS, StoredTree, find_intact, find_stored_tree, set_aside
from builder.system.atomic import give_name
from builder.system.checksums import hash_file
from builder.system.files import InputError, read_bytes
from builder.system.paths import merge_into_usr
from builder.system.process import run
from builder.system.workspace import Workspace
from builder.units import GIB

KEPT = [f"--xattrs-include={name}*" for name in XATTRS]
EXPANSION = 20
"""Largest factor between a package's unpacked and packed size: 3 to 5 is common, fonts and lists have 10."""
ROOM_BYTES = 1 * GIB
"""Space for other files than those of packages of an archive: lists, caches, packages of the board."""
KEY_VARIABLE = "BOARDWRIGHT_CACHE_KEY"
"""Environment variable with the path of the key file."""
SHORTEST_KEY = 32
MAC = "mac"
INFO = "var/lib/dpkg/info"


@dataclass(frozen=True)
class Foreseen:
    """The expected content of a layer, as this build would create it."""

    origins: StageInputs
    """Inputs of this layer and of the layers below."""
    below: tuple[str, ...]
    """Names of the layers below."""
    packages: frozenset[tuple[str, str]]
    """Names and versions of all packages from archives, also of the layers below."""
    own: frozenset[str]
    """Names of the packages that this layer installs."""
    others: int = 0
    """Number of packages from files of the board."""
    packed_bytes: int = 0
    """Total size of the .debs of `own`."""

    @property
    def largest_bytes(self) -> int:
        """Size limit of the decompressed archive."""
        return EXPANSION * self.packed_bytes + (1 + self.others) * ROOM_BYTES


def find_key() -> bytes | None:
    """Return the key that signs layers, or None if the variable is unset; raise RecipeError for a short key."""
    named = os.environ.get(KEY_VARIABLE)
    if not named:
        return None
    key = read_bytes(Path(named), limit=4096).strip()
    if len(key) < SHORTEST_KEY:
        raise RecipeError(
            f"{KEY_VARIABLE}: {named} has {len(key)} bytes; expected at least {SHORTEST_KEY}",
            hint="create a key: openssl rand -hex 32",
        )
    return key


def send_layer(store: Store, kept: StoredTree, workspace: Workspace) -> None:
    """Upload a finished layer to the shared cache, if the store has one."""
    if not store.is_sent_on:
        return
    name, key = kept.directory.name, find_key()
    archive = workspace.scratch / f"{name}.tar.zst"
    with log.step(f"pack {name}"):
        # Sorted, and without the access times that --format=posix would add: the same layer gives the same bytes.
        run(
            ["tar", "--create", "--zstd", f"--file={archive}", "--format=posix", "--sort=name", "--numeric-owner",
             "--pax-option=delete=atime,delete=ctime", "--xattrs", *KEPT, f"--directory={kept.directory}", "."],
            env={"ZSTD_NBTHREADS": str(os.cpu_count() or 1)},
        )  # fmt: skip
        sha256 = store.add(archive)
        signed = {MAC: _sign(key, name, sha256)} if key else {}
        store.set_ref(f"layer/{name}", sha256, {"digest": kept.digest, **signed})


def take_layer(store: Store, directory: Path, workspace: Workspace, foreseen: Foreseen) -> StoredTree | None:
    """Return a layer from the shared cache, unpacked to `directory`; None if there is no usable one."""
    name, key = directory.name, find_key()
    ref = store.find_ref(f"layer/{name}")
    archive, aside = workspace.scratch / f"{name}.tar.zst", workspace.scratch / f"taken-{name}"
    if ref is None or not _is_trusted(ref, name, key) or not store.link(ref.sha256, archive):
        return None
    aside.mkdir()
    with log.step(f"unpack {name}"):
        try:
            if key is None:
                _check_length(archive, foreseen.largest_bytes)
            run(["tar", "--extract", f"--file={archive}", "--zstd", "--same-permissions", "--numeric-owner",
                 "--xattrs", *KEPT, f"--directory={aside}"])  # fmt: skip
            read_bytes(aside / RECORD, within=aside)  # For its error message, for example if the record is a link.
            kept = find_intact(aside)
        except (ToolError, InputError, OSError) as error:  # OSError: a path that is too long for the system.
            log.warn(f"layer {name} of the shared cache is ignored: it cannot be unpacked: {error}")
            return None
        if kept and (mismatch := next(find_mismatches(kept, foreseen, is_signed=key is not None), "")):
            log.warn(f"layer {name} of the shared cache is ignored: {mismatch}")
            return None
    if kept is None or (not kept.is_whole and find_obstacle(workspace)):
        return None
    set_aside(directory)
    give_name(aside, directory, durable=False)
    return find_stored_tree(directory)


def _check_length(archive: Path, largest_bytes: int) -> None:
    """Raise ToolError if an archive decompresses to more than `largest_bytes`."""
    for _ in unpacked(archive, limit=largest_bytes, error=ToolError):
        pass


def find_mismatches(kept: StoredTree, foreseen: Foreseen, *, is_signed: bool) -> Iterator[str]:
    """Yield each difference between a layer and the layer that this build would create."""
    if kept.origins != foreseen.origins:
        yield "it was made from other inputs"
    if kept.below != foreseen.below:
        yield f"layers below: found {', '.join(kept.below) or 'none'}; expected {', '.join(foreseen.below) or 'none'}"
    installed = {(package.name, package.version) for package in kept.packages}
    if missing := sorted(foreseen.packages - installed):
        yield f"package {' '.join(missing[0])} is missing"
    others = sorted(installed - foreseen.packages)
    if len(others) > foreseen.others:
        yield f"package {' '.join(others[0])} is not expected"
    if not is_signed:
        yield from _find_changed(kept, foreseen)


def _find_changed(kept: StoredTree, foreseen: Foreseen) -> Iterator[str]:
    """Yield each difference between dpkg's lists in a layer and the layer's record and files."""
    tree = kept.directory / TREE
    try:
        listed = read_packages(tree)
    except (RecipeError, ToolError) as error:
        yield f"dpkg's list of packages cannot be read: {error.message}"
        return
    if set(listed) != set(kept.packages):
        yield "its record and dpkg's list have different packages"
    diverted = _read_diverted(tree)
    for package in sorted(foreseen.own):
        for path, digest in _read_digests(tree, package):
            if path not in diverted and _digest(tree, path) != digest:
                yield f"{path} differs from package {package}"


def _read_digests(tree: Path, package: str) -> Iterator[tuple[str, str]]:
    """Yield (path, MD5) of the files of a package from dpkg's list; paths are merged into /usr."""
    listings = [tree / INFO / f"{package}.md5sums", *(tree / INFO).glob(f"{package}:*.md5sums")]
    for listing in filter(Path.is_file, listings):
        for line in read_bytes(listing, within=tree).decode("utf-8", "surrogateescape").splitlines():
            digest, _, name = line.partition("  ")
            yield merge_into_usr(f"/{name}"), digest


def _read_diverted(tree: Path) -> frozenset[str]:
    file = tree / "var/lib/dpkg/diversions"
    lines = read_bytes(file, within=tree).decode("utf-8", "replace").splitlines() if file.is_file() else []
    return frozenset(merge_into_usr(line) for line in lines[::3])


def _digest(tree: Path, path: str) -> str:
    file = tree / path.lstrip("/")
    return "" if file.is_symlink() or not file.is_file() else hash_file(file, "md5")


def _sign(key: bytes, name: str, sha256: str) -> str:
    return hmac.new(key, f"boardwright layer\n{name}\n{sha256}\n".encode(), hashlib.sha256).hexdigest()


def _is_trusted(ref: StoreRef, name: str, key: bytes | None) -> bool:
    """Return True if a layer is signed with the key, or if there is no key."""
    if key is None:
        return True
    is_signed = hmac.compare_digest(str(ref.facts.get(MAC, "")).encode(), _sign(key, name, ref.sha256).encode())
    if not is_signed:
        log.warn(f"layer {name} of the shared cache is ignored: it is not signed with the key of {KEY_VARIABLE}")
    return is_signed
