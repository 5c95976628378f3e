# SPDX-License-Identifier: MIT
"""Record the rights and system files that packages bring, in a file of the image that the specs compare it with.

The tree is read when the packages are installed and nothing else is. Then it has the modes and owners of the .debs,
and the changes and capabilities of maintainer scripts. Files of the board, its users and its script come later.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from builder.errors import MachineError, RecipeError
from builder.plan.access import is_held, is_link_held, is_link_in, is_way_in, leads_in
from builder.plan.ways.places import is_of_root
from builder.rootfs.model import ACLS, CAPABILITY, DELIVERED, HELD
from builder.system.checksums import hash_file
from builder.system.files import load_json, read_bytes
from builder.system.paths import merge_into_usr, resolve_inside, write_text
from builder.system.process import run

INFO, STATUS, DIVERSIONS = "/var/lib/dpkg/info", "/var/lib/dpkg/status", "/var/lib/dpkg/diversions"
KINDS = ("setid", "capabilities", "writable", "owners", "links", "special", "access")
SPECIAL = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


def find_delivered(tree: Path) -> dict[str, Any]:
    """Return what a tree of packages alone has, by kind: set-id files and files with capabilities, writable places,
    what of the system others than root may write, links that lead nowhere, special files, login shells, files that
    decide who gets in and others of the system.

    Kinds: set-id files, files with capabilities, world-writable paths, dangling links, special files, login shells,
    and `access`: files that give access, and other files of the system.

    Owners are names if the tree has such a user or group, else numbers. `access` leaves out files whose MD5 dpkg has:
    specs compare those with dpkg's MD5.
    """
    summed = _list_summed(tree)
    users, groups = _read_names(tree, "/etc/passwd"), _read_names(tree, "/etc/group")
    delivered: dict[str, Any] = {kind: {} for kind in KINDS}
    for path, name in _walk(tree):
        state = os.lstat(path)
        owner = f"{users.get(state.st_uid, state.st_uid)}:{groups.get(state.st_gid, state.st_gid)}"
        for kind, what in _measure(tree, path, name, state, owner):
            delivered[kind][name] = what
        if stat.S_ISREG(state.st_mode) and name not in summed and is_held(name):
            delivered["access"][name] = hash_file(Path(path), "sha256")
    delivered["shells"] = _read_shells(tree)
    return {kind: dict(sorted(rows.items())) for kind, rows in delivered.items()}


def _walk(tree: Path) -> Iterator[tuple[str, str]]:
    """Yield each path on this machine, and its path in the tree. 25,000 files: Path objects cost seconds."""
    for directory, names, files in os.walk(tree):
        for name in (*names, *files):
            path = f"{directory}/{name}"
            yield path, path[len(str(tree)) :]


def _measure(tree: Path, path: str, inside: str, state: os.stat_result, owner: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, value) for each kind that a path belongs to."""
    kind, mode = stat.S_IFMT(state.st_mode), f"{stat.S_IMODE(state.st_mode):04o}"
    if kind == stat.S_IFLNK:
        yield from _measure_link(tree, path, inside)
        return
    if state.st_mode & stat.S_IWOTH:
        yield "writable", mode
    if is_of_root(inside):
        acl = " with an ACL" if set(ACLS).intersection(os.listxattr(path, follow_symlinks=False)) else ""
        if state.st_uid or (state.st_gid and state.st_mode & stat.S_IWGRP) or acl:
            yield "owners", f"{mode} {owner}{acl}"
    if kind in SPECIAL:
        yield "special", SPECIAL[kind]
    if kind == stat.S_IFREG:
        is_setid = state.st_mode & (stat.S_ISUID | stat.S_ISGID)
        yield from _measure_file(path, inside, f"{mode} {owner}" if is_setid else "")


def _measure_link(tree: Path, path: str, inside: str) -> Iterator[tuple[str, str]]:
    target = str(Path(path).readlink())
    end = _find_end(tree, inside)
    if end is None:
        yield "links", target
    if (
        is_link_held(inside)
        or is_link_in(inside, target)
        or (end and end.is_file() and leads_in(inside, f"/{end.relative_to(tree)}", end.read_bytes))
    ):
        yield "access", f"-> {target}"


def _measure_file(path: str, inside: str, setid: str) -> Iterator[tuple[str, str]]:
    if is_way_in(inside, Path(path).read_bytes):
        yield "access", hash_file(Path(path), "sha256")
    if setid:
        yield "setid", setid
    if value := _read_capability(path):
        yield "capabilities", value


def add_built(delivered: dict[str, Any], tree: Path, laid: Collection[str]) -> dict[str, Any]:
    """Return `delivered`, extended by the system files that the build has written since.

    Called before a script of the board runs.

    laid  paths of the board's own files, which do not count as files of the build
    """
    access = {path: value for path, value in find_delivered(tree)["access"].items() if path not in laid}
    return {**delivered, "access": {**delivered["access"], **access}}


def add_packages(
    delivered: dict[str, Any], tree: Path, names: Collection[str], laid: Collection[str] = ()
) -> dict[str, Any]:
    """Return `delivered`, extended by the files of packages that a script of the board has installed.

    names  the packages
    laid   paths of the board's own files; dpkg keeps them if they are conffiles (dpkg(1), confold)

    Of what decides who gets in, and of the system, it is only what is as the package's lists have it, and its own
    scripts: the script of the board may have changed it since. A script that changes these lists too is believed.
    """
    lists = _read_lists(tree)
    others = {path for name, paths in lists.items() if name not in names for path in paths}
    paths = {path for name in names for path in lists.get(name, ())} - others - set(laid)
    current, digests = find_delivered(tree), _read_digests(tree, names)
    access = current["access"].items()
    current["access"] = {
        path: value
        for path, value in access
        if _is_script_of(path, names) or (path in paths and _is_as_listed(tree, path, value, digests))
    }
    paths |= current["access"].keys()
    return {
        kind: {**rows, **{path: value for path, value in current[kind].items() if path in paths}}
        for kind, rows in delivered.items()
    }


def add_written(delivered: dict[str, Any], tree: Path, places: Collection[str]) -> dict[str, Any]:
    """Return what was delivered together with files that the build has written after all scripts."""
    paths = {inside: resolve_inside(tree, inside) for inside in places}
    digests = {inside: hash_file(path, "sha256") for inside, path in paths.items() if path.is_file()}
    return {**delivered, "access": {**delivered["access"], **digests}}


def _is_script_of(path: str, names: Collection[str]) -> bool:
    """Return True for the path of a maintainer script of one of the packages `names`."""
    directory, _, name = path.rpartition("/")
    return directory == INFO and name.rpartition(".")[0].split(":")[0] in names


def _is_as_listed(tree: Path, path: str, what: str, digests: Collection[tuple[str, str]]) -> bool:
    """Return True if a path is as in its package. For links dpkg knows only the name."""
    if what.startswith("-> "):
        return True
    return (path, hash_file(resolve_inside(tree, path), "md5")) in digests


def _read_digests(tree: Path, names: Collection[str]) -> set[tuple[str, str]]:
    """Return (path, MD5) of the files of the packages `names`, and of all conffiles."""
    rows = re.findall(r"^ (/.+) ([0-9a-f]{32})(?: .*)?$", "\n".join(_read_lines(tree, STATUS)), re.MULTILINE)
    for listing in resolve_inside(tree, INFO).glob("*.md5sums"):
        if listing.name.removesuffix(".md5sums").split(":")[0] in names:
            pairs = (line.partition("  ") for line in _read_lines(tree, f"{INFO}/{listing.name}"))
            rows += [(merge_into_usr(f"/{path}"), digest) for digest, _, path in pairs]
    return set(rows)


def _list_summed(tree: Path) -> set[str]:
    """Return the paths, merged into /usr, of files whose MD5 dpkg has; for diverted files the new path."""
    summed = set()
    for listing in resolve_inside(tree, INFO).glob("*.md5sums"):
        summed |= {f"/{line.partition('  ')[2]}" for line in _read_lines(tree, f"{INFO}/{listing.name}")}
    lines = _read_lines(tree, DIVERSIONS)
    moved = dict(zip(lines[::3], lines[1::3], strict=False))
    return {merge_into_usr(moved.get(path, path)) for path in summed}


def _read_lists(tree: Path) -> dict[str, set[str]]:
    """Return the paths of each package, merged into /usr, of all its installed architectures (libc6:amd64)."""
    lists: dict[str, set[str]] = {}
    for listing in resolve_inside(tree, INFO).glob("*.list"):
        paths = lists.setdefault(listing.name.removesuffix(".list").split(":")[0], set())
        paths.update(map(merge_into_usr, _read_lines(tree, f"{INFO}/{listing.name}")))
    return lists


def find_configured(tree: Path) -> dict[str, Any]:
    """Return held packages, and the swap areas and mounts of fstab.

    None of these gives access. So a line of `expect` only documents a reason.
    """
    query = ["dpkg-query", f"--admindir={tree / 'var/lib/dpkg'}", "--show", "--showformat=${Package}\\t${Status}\\n"]
    packages = [row.split("\t") for row in run(query).stdout.splitlines()]
    rows = [row for row in map(str.split, _read_lines(tree, "/etc/fstab")) if len(row) > 2 and row[0][0] != "#"]
    return {
        "held": {name: status for name, status in packages if status == HELD},
        "swap": {row[0]: "swap" for row in rows if row[2] == "swap"},
        "mounts": {row[1]: row[2] for row in rows if row[2] != "swap"},
    }


def read_delivered(tree: Path) -> dict[str, Any]:
    """Return the record that write_delivered wrote; raise MachineError for any other content.

    A layer of a shared cache may contain a forged record.
    """
    path = tree / DELIVERED.lstrip("/")
    try:
        delivered = load_json(read_bytes(path, within=tree))
        rows = {kind: dict(delivered[kind]) for kind in (*KINDS, "shells")}
    except (ValueError, KeyError, TypeError):
        rows = {}
    texts = [text for values in rows.values() for pair in values.items() for text in pair]
    if not rows or not all(isinstance(text, str) for text in texts):
        raise MachineError(
            f"{path}: not a record of Boardwright; expected the files that packages have delivered",
            hint="the layer is damaged or from another program: build again with --no-cache",
        )
    return rows


def write_delivered(tree: Path, delivered: dict[str, Any]) -> None:
    """Write the record of delivered files into a tree."""
    write_text(tree, DELIVERED, json.dumps({"format": 1, **delivered}, indent=1, ensure_ascii=True) + "\n")


def _find_end(tree: Path, inside: str) -> Path | None:
    """Return the path in the tree that a link leads to; None for a dangling link."""
    try:
        end = resolve_inside(tree, inside)
    except RecipeError:  # A loop of links.
        return None
    return end if os.path.lexists(end) else None


def _read_capability(path: str) -> str:
    try:
        return os.getxattr(path, CAPABILITY, follow_symlinks=False).hex()
    except OSError:
        return ""


def _read_names(tree: Path, table: str) -> dict[int, str]:
    rows = [line.split(":") for line in _read_lines(tree, table)]
    return {int(row[2]): row[0] for row in reversed(rows) if len(row) > 3 and row[2].isdigit()}


def _read_shells(tree: Path) -> dict[str, str]:
    rows = [line.split(":") for line in _read_lines(tree, "/etc/passwd")]
    return {row[0]: row[6] for row in rows if len(row) == 7 and row[2].isdigit()}


def _read_lines(tree: Path, inside: str) -> list[str]:
    """Return the lines of a file in the tree; [] if it is missing. The file may be of any content."""
    path = resolve_inside(tree, inside)
    return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if path.is_file() else []
