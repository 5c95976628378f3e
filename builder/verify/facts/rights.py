# SPDX-License-Identifier: MIT
"""Find rights and files in an image that come from neither its packages nor its recipe.

Each kind is listed from the tree. The list is compared with the packages' own (rootfs/delivered.py wrote it into the
image), with dpkg-statoverride, and with `expect` of the recipe. A new kind is a function and a row in KINDS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from builder.boot_methods.table import planned_words
from builder.disk.dpkg import DpkgPackage
from builder.disk.entry import Entry
from builder.plan.first_boot import CLOUD_CONFIG, FIRMWARE, render_cloud_config, render_sudoers
from builder.plan.kernel_words import find_ways_in
from builder.plan.user_data import digest_user_data
from builder.plan.ways.places import is_of_root
from builder.recipe.expect import Expected
from builder.rootfs.model import ACLS, CAPABILITY, CLOUD_DISTRO, DELIVERED, HELD, RESOLVER
from builder.system.checksums import sha256_bytes
from builder.system.files import load_json
from builder.verify.facts.ways import WayFacts, find_beside_files, find_files_and_links

NO_LOGIN = frozenset(
    {"/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync", "/usr/bin/sync"}
)
"""Shells without a login; `sync` is the shell of a Debian system user."""
USER_DATA = f"{FIRMWARE}/user-data"
MODE = re.compile("[0-7]{1,5}")
OF_CMDLINE = "of the kernel's command line"
SPECIAL = ("device", "pipe", "socket")
ALWAYS_WRITABLE = ("/tmp", "/var/tmp")  # noqa: S108 - of the image


class RightFacts(WayFacts, Protocol):
    """The properties of an image that this module uses."""

    @property
    def packages(self) -> Mapping[str, DpkgPackage]: ...
    @property
    def unlisted_programs(self) -> list[str]: ...
    @property
    def cmdline(self) -> list[str]: ...


class Rights:
    """Rights and files of an image, by kind, with their origin."""

    def __init__(self, image: RightFacts) -> None:
        self._image = image
        self._found: dict[str, Mapping[str, str]] = {}

    @cached_property
    def delivered(self) -> Mapping[str, Mapping[str, str]]:
        """Things that come from packages: value by name, by kind."""
        text = self._image.tree.file(DELIVERED).content_string
        if not text:
            raise AssertionError(f"{DELIVERED} is missing; expected the build's list of things that packages bring")
        try:
            kinds = load_json(text)
        except ValueError as error:
            raise AssertionError(f"{DELIVERED} is damaged: {error}") from None
        if not isinstance(kinds, dict):
            raise AssertionError(f"{DELIVERED} is damaged: expected a table")
        return {kind: _take_texts(rows) for kind, rows in kinds.items() if isinstance(rows, dict)}

    def found(self, kind: str) -> Mapping[str, str]:
        """Return the things of a kind: the compared value by name."""
        if kind not in self._found:
            row = KINDS[kind]
            self._found[kind] = {**row.find(self._image), **row.never_delivered(self._image)}
        return self._found[kind]

    def has(self, expected: Expected) -> bool:
        """Return whether the image has the thing that a line of `expect` allows."""
        if expected.kind == "access" and expected.name.endswith("/"):
            return any(name.startswith(expected.name) for name in self.found("access"))
        if expected.kind in KINDS:
            return expected.name in self.found(expected.kind)
        return self._image.tree.find(expected.name) is not None

    def owned(self, path: str) -> str:
        """Return mode and owners of a path in the format of `delivered`; "missing" if it does not exist."""
        entry = self._image.tree.find(path)
        return _owned(self._image, entry) if entry else "missing"

    def check_asked(self, kind: str) -> None:
        """Raise AssertionError with one line for each thing of a kind that is not allowed."""
        if unasked := self.find_unasked(kind):
            raise AssertionError("\n".join(unasked))

    def check_kept(self) -> None:
        """Raise AssertionError with one line for each set-id file whose mode or owner was changed."""
        wanted = {**self.delivered.get("setid", {}), **_overridden(self._image)}
        changed = {path: self.owned(path) for path, rights in wanted.items() if self.owned(path) != rights}
        # A missing file without a package: a script of the board has removed the package.
        changed = {path: rights for path, rights in changed.items() if rights != "missing" or self._find_package(path)}
        if changed:
            how = "dpkg-statoverride --update --add USER GROUP MODE PATH changes them for good"
            rows = [
                f"{_show(path)} is {rights}; {self._find_bringer(path)} brings {wanted[path]}"
                for path, rights in changed.items()
            ]
            raise AssertionError("\n".join([*sorted(rows), how]))

    def find_traces(self, pattern: str) -> list[str]:
        """Return paths that match a pattern, unless `expect` allows them or a parent directory.

        A mount point stands for the entries of its filesystem.
        """
        asked = [row.name.rstrip("/") for row in self._image.plan.expected if row.kind == "traces"]
        mounts = {slot.mount for slot in self._image.plan.disk.slots}
        asked += [f"{mount}/lost+found" for mount in mounts]
        paths = [entry.path for entry in self._image.tree.glob(pattern)]
        paths += [entry.path for path in paths if path in mounts for entry in self._image.tree.glob(f"{path}/*")]
        paths = [path for path in paths if path not in mounts]
        return [path for path in paths if not any(f"{path}/".startswith(f"{name}/") for name in asked)]

    def find_unasked(self, kind: str) -> list[str]:
        """Return a sentence for each thing of a kind that is not allowed, with the line of `expect` that allows it."""
        row = KINDS[kind]
        allowed = {**self.delivered.get(kind, {}), **row.own(self._image)}
        for name in row.never_delivered(self._image):
            allowed.pop(name, None)
        asked = {row.name for row in self._image.plan.expected if row.kind == kind}
        directories = tuple(name for name in asked if kind == "access" and name.endswith("/"))
        present = ((name, value) for name, value in self.found(kind).items() if not name.startswith(directories))
        unasked = {name: value for name, value in present if name not in asked and allowed.get(name) != value}
        return [self._explain(kind, name, value, allowed.get(name)) for name, value in sorted(unasked.items())]

    def _explain(self, kind: str, name: str, what: str, delivered: str | None) -> str:
        owner = self._find_package(name) if name.startswith("/") else ""
        facts = [what, f"of the package {owner}" if owner else "", f"which brings {delivered}" if delivered else ""]
        line = f"expect: {{{kind}: {{{json.dumps(name)}: WHY}}}}"
        option = "--user-data FILE, if it is yours, or " if name == self._user_data else ""
        return f"{_show(name)} ({', '.join(filter(None, facts))}); to allow it: {option}{line}"

    @cached_property
    def _user_data(self) -> str:
        """Path of the user-data, with the upper and lower case of the FAT."""
        laid = self._image.tree.find(USER_DATA)
        return laid.path if laid else USER_DATA

    def _find_bringer(self, path: str) -> str:
        package = self._find_package(path)
        return f"its package {package}" if package else "a package or dpkg-statoverride"

    def _find_package(self, path: str) -> str:
        return self._image.owners.get(path, "")


def _show(path: str) -> str:
    return path if path.isprintable() else json.dumps(path)


def _take_texts(rows: Mapping[str, Any]) -> Mapping[str, str]:
    return {name: value for name, value in rows.items() if isinstance(value, str)}


def _owned(image: RightFacts, entry: Entry) -> str:
    user, group = image.tree.users.get(entry.uid, entry.uid), image.tree.groups.get(entry.gid, entry.gid)
    return f"{entry.mode:04o} {user}:{group}"


def _find_setid(image: RightFacts) -> dict[str, str]:
    return {entry.path: _owned(image, entry) for entry in image.tree.of_kind("file") if entry.mode & 0o6000}


def _find_capabilities(image: RightFacts) -> dict[str, str]:
    files = image.tree.of_kind("file")
    return {entry.path: entry.xattrs[CAPABILITY].hex() for entry in files if CAPABILITY in entry.xattrs}


def _find_writable(image: RightFacts) -> dict[str, str]:
    entries = (entry for entry in image.tree.entries.values() if entry.kind != "symlink" and entry.mode & 0o002)
    return {entry.path: f"{entry.mode:04o}" for entry in entries}


def _find_owners(image: RightFacts) -> dict[str, str]:
    """Return what of the system others than root own or may write."""
    entries = (entry for entry in image.tree.entries.values() if entry.kind != "symlink" and is_of_root(entry.path))
    return {
        entry.path: _owned(image, entry) + (" with an ACL" if entry.xattrs.keys() & ACLS else "")
        for entry in entries
        if entry.uid or (entry.gid and entry.mode & 0o020) or entry.xattrs.keys() & ACLS
    }


def _find_links(image: RightFacts) -> dict[str, str]:
    links = (entry for entry in image.tree.of_kind("symlink") if entry.target != "/dev/null")
    return {entry.path: entry.target for entry in links if image.tree.find(entry.path) is None}


def _find_special(image: RightFacts) -> dict[str, str]:
    return {entry.path: entry.kind for entry in image.tree.entries.values() if entry.kind in SPECIAL}


def _find_shells(image: RightFacts) -> dict[str, str]:
    return {name: user.shell for name, user in image.users.items() if user.shell not in NO_LOGIN}


def _find_held(image: RightFacts) -> dict[str, str]:
    return {name: package.status for name, package in image.packages.items() if package.status == HELD}


def _find_swap(image: RightFacts) -> dict[str, str]:
    rows = [line.split() for line in image.tree.file("/etc/fstab").lines]
    return {row[0]: "swap" for row in rows if len(row) > 2 and row[2] == "swap"}


def _find_mounts(image: RightFacts) -> dict[str, str]:
    return {mount: row.kind for mount, row in image.fstab.items() if row.kind != "swap"}


def _find_programs(image: RightFacts) -> dict[str, str]:
    return {path: "of no package" for path in image.unlisted_programs if not path.startswith("/usr/local/")}


def _overridden(image: RightFacts) -> dict[str, str]:
    """Return the set-id files of dpkg-statoverride. Its lines are USER GROUP MODE PATH, also for directories."""
    rows = [line.split(" ", 3) for line in image.tree.file("/var/lib/dpkg/statoverride").lines]
    modes = {row[3]: (int(row[2], 8), row) for row in rows if len(row) == 4 and MODE.fullmatch(row[2])}
    return {path: f"{mode:04o} {row[0]}:{row[1]}" for path, (mode, row) in modes.items() if mode & 0o6000}


def _find_beside_files(image: RightFacts) -> dict[str, str]:
    return {**_find_words(image), **find_beside_files(image)}


def _find_words(image: RightFacts) -> dict[str, str]:
    """Return parameters of the kernel's command line that are not planned, and planned ones that give access."""
    planned, ways_in = planned_words(image.plan), set(find_ways_in(image.cmdline))
    parameters = [word for word in image.cmdline if word not in planned or word in ways_in]
    return dict.fromkeys(parameters, OF_CMDLINE)


def _written(image: RightFacts) -> dict[str, str]:
    """Return the digests of the files that the build itself writes."""
    plan = image.plan
    has_distro = image.tree.find(CLOUD_DISTRO) is not None
    texts = {CLOUD_CONFIG: render_cloud_config(plan, has_distro=has_distro), **render_sudoers(plan)}
    files = {path: sha256_bytes(text.encode()) for path, text in texts.items()}
    laid = image.tree.find(USER_DATA)
    user_data = {laid.path: digest_user_data(plan.user_data)} if plan.user_data and laid else {}
    return files | user_data


@dataclass(frozen=True)
class RightKind:
    """A kind of thing: the function that lists it, and values that are always allowed."""

    find: Callable[[RightFacts], Mapping[str, str]]
    own: Callable[[RightFacts], Mapping[str, str]] = lambda _: {}
    never_delivered: Callable[[RightFacts], Mapping[str, str]] = lambda _: {}
    """More things to list, which no package can bring; the image's own list cannot allow them."""


KINDS: Mapping[str, RightKind] = {
    "setid": RightKind(_find_setid, _overridden),
    "capabilities": RightKind(_find_capabilities),
    "writable": RightKind(_find_writable, lambda _: dict.fromkeys(ALWAYS_WRITABLE, "1777")),
    "owners": RightKind(_find_owners),
    "links": RightKind(_find_links, lambda _: {"/etc/resolv.conf": RESOLVER}),
    "special": RightKind(_find_special),
    "shells": RightKind(
        _find_shells, lambda image: {name: user.shell for name, user in image.plan.recipe.users.items()}
    ),
    "held": RightKind(_find_held),
    "swap": RightKind(_find_swap),
    "mounts": RightKind(
        _find_mounts, lambda image: {slot.mount: slot.filesystem.row.linux for slot in image.plan.disk.slots}
    ),
    "programs": RightKind(_find_programs),
    "access": RightKind(find_files_and_links, _written, _find_beside_files),
}
