# SPDX-License-Identifier: MIT
"""Layers that machines share, as archives in the store and in what lies behind it.

An archive is known by its digest, and so is the tree that comes out of it: what was damaged, or is not what its name
says, is not taken. It holds what GNU tar needs to give back owners, times, capabilities and the marks of overlayfs.

Who may write to the store behind decides what a name stands for. So a layer is only taken when it was made from the
inputs that are wanted, has the packages that are foreseen, and its files are those that dpkg's lists have. All of that
lies in the layer itself, so a good forgery is not found out. And it is only unpacked when it is not much more than what
its packages can become. With a key that only trusted builds hold, no layer is taken that was not signed with it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.cache.store import Ref, Store
from builder.disk.open_image import unpacked
from builder.errors import RecipeError, ToolError
from builder.rootfs.inputs import Origins
from builder.rootfs.installed import read_packages
from builder.rootfs.overlayfs import find_obstacle
from builder.rootfs.stored_tree import RECORD, TREE, XATTRS, Kept, find_intact, find_kept, set_aside
from builder.system.atomic import give_name
from builder.system.checksums import hash_file
from builder.system.files import InputError, read_bytes
from builder.system.paths import merge_into_usr
from builder.system.process import run
from builder.system.workspace import Workspace
from builder.units import GIB

KEPT = [f"--xattrs-include={name}*" for name in XATTRS]
EXPANSION = 20
"""How many times its packed size a package has at most: three to five times is common, fonts and lists have ten."""
ROOM_BYTES = 1 * GIB
"""For what is no file of a package of an archive: lists, caches, packages of the board."""
KEY_VARIABLE = "BOARDWRIGHT_CACHE_KEY"
"""Names a file with the key."""
SHORTEST_KEY = 32
MAC = "mac"
INFO = "var/lib/dpkg/info"


@dataclass(frozen=True)
class Foreseen:
    """What a layer must be, as this build would make it."""

    origins: Origins
    """Of its step and of those below."""
    below: tuple[str, ...]
    """Names of the layers that it lies on."""
    packages: frozenset[tuple[str, str]]
    """Names and versions of all that come from archives, those of the layers below included."""
    own: frozenset[str]
    """Names of the packages that its step installs."""
    others: int = 0
    """How many packages come from files of the board."""
    packed_bytes: int = 0
    """Of the files of the packages that its step installs, those of the board left out."""

    @property
    def largest_bytes(self) -> int:
        """How long its archive may be once it is decompressed."""
        return EXPANSION * self.packed_bytes + (1 + self.others) * ROOM_BYTES


def find_key() -> bytes | None:
    """Return the key that layers are signed with; None without. RecipeError for one that is none."""
    named = os.environ.get(KEY_VARIABLE)
    if not named:
        return None
    key = read_bytes(Path(named), limit=4096).strip()
    if len(key) < SHORTEST_KEY:
        raise RecipeError(
            f"{KEY_VARIABLE}: {named} has {len(key)} bytes; allowed: at least {SHORTEST_KEY}",
            hint="make one: openssl rand -hex 32",
        )
    return key


def send_layer(store: Store, kept: Kept, workspace: Workspace) -> None:
    """Give a finished layer to those who share the store."""
    if not store.is_sent_on:
        return
    name, key = kept.directory.name, find_key()
    archive = workspace.scratch / f"{name}.tar.zst"
    with log.step(f"pack {name}"):
        # Sorted, and without the times of access that --format=posix would add: the same layer is the same archive.
        run(
            ["tar", "--create", "--zstd", f"--file={archive}", "--format=posix", "--sort=name", "--numeric-owner",
             "--pax-option=delete=atime,delete=ctime", "--xattrs", *KEPT, f"--directory={kept.directory}", "."],
            env={"ZSTD_NBTHREADS": str(os.cpu_count() or 1)},
        )  # fmt: skip
        sha256 = store.take(archive)
        signed = {MAC: _sign(key, name, sha256)} if key else {}
        store.set_ref(f"layer/{name}", sha256, {"digest": kept.digest, **signed})


def take_layer(store: Store, directory: Path, workspace: Workspace, foreseen: Foreseen) -> Kept | None:
    """Return a layer that another machine has made, unpacked to `directory`; None when there is none to be used."""
    name, key = directory.name, find_key()
    ref = store.find_ref(f"layer/{name}")
    archive, aside = workspace.scratch / f"{name}.tar.zst", workspace.scratch / f"taken-{name}"
    if ref is None or not _is_trusted(ref, name, key) or not store.place(ref.sha256, archive):
        return None
    aside.mkdir()
    with log.step(f"unpack {name}"):
        try:
            if key is None:
                _check_length(archive, foreseen.largest_bytes)
            run(["tar", "--extract", f"--file={archive}", "--zstd", "--same-permissions", "--numeric-owner",
                 "--xattrs", *KEPT, f"--directory={aside}"])  # fmt: skip
            read_bytes(aside / RECORD, within=aside)  # For its error: a link is taken for no record.
            kept = find_intact(aside)
        except (ToolError, InputError, OSError) as error:  # OSError: a path that is too long for the system.
            log.warn(f"layer {name} of the shared cache cannot be unpacked; it is not taken: {error}")
            return None
        if kept and (wrong := next(find_mismatches(kept, foreseen, is_signed=key is not None), "")):
            log.warn(f"layer {name} of the shared cache is not the one that is wanted: {wrong}; it is not taken")
            return None
    if kept is None or (not kept.is_whole and find_obstacle(workspace)):
        return None
    set_aside(directory)
    give_name(aside, directory, durable=False)
    return find_kept(directory)


def _check_length(archive: Path, largest_bytes: int) -> None:
    """Raise ToolError where more comes out of an archive than may be in it."""
    for _ in unpacked(archive, limit=largest_bytes, error=ToolError):
        pass


def find_mismatches(kept: Kept, foreseen: Foreseen, *, is_signed: bool) -> Iterator[str]:
    """Yield what of a layer is not as this build would make it."""
    if kept.origins != foreseen.origins:
        yield "it was made from something else"
    if kept.below != foreseen.below:
        yield f"it lies on {', '.join(kept.below) or 'nothing'}"
    installed = {(package.name, package.version) for package in kept.packages}
    if missing := sorted(foreseen.packages - installed):
        yield f"it does not have {' '.join(missing[0])}"
    others = sorted(installed - foreseen.packages)
    if len(others) > foreseen.others:
        yield f"it has {' '.join(others[0])}, which it was not to have"
    if not is_signed:
        yield from _find_changed(kept, foreseen)


def _find_changed(kept: Kept, foreseen: Foreseen) -> Iterator[str]:
    """Yield what dpkg's own lists in a layer say otherwise than its record and its files."""
    tree = kept.directory / TREE
    try:
        listed = read_packages(tree)
    except (RecipeError, ToolError) as error:
        yield f"its list of packages cannot be read: {error.message}"
        return
    if set(listed) != set(kept.packages):
        yield "its record has other packages than its list of packages"
    diverted = _read_diverted(tree)
    for package in sorted(foreseen.own):
        for path, digest in _read_digests(tree, package):
            if path not in diverted and _digest(tree, path) != digest:
                yield f"{path} is not that of {package}"


def _read_digests(tree: Path, package: str) -> Iterator[tuple[str, str]]:
    """Yield files of a package, merged into /usr, with the MD5 that dpkg has of each."""
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


def _is_trusted(ref: Ref, name: str, key: bytes | None) -> bool:
    """Say whether a layer is signed, where there is a key for that."""
    if key is None:
        return True
    is_signed = hmac.compare_digest(str(ref.facts.get(MAC, "")).encode(), _sign(key, name, ref.sha256).encode())
    if not is_signed:
        log.warn(f"layer {name} of the shared cache is not signed with the key of {KEY_VARIABLE}; it is not taken")
    return is_signed
