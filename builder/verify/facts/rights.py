# SPDX-License-Identifier: MIT
"""What of an image neither its packages bring nor its recipe asks for.

Each kind of thing is found in the tree, and compared with what packages have delivered (rootfs/delivered.py wrote it
into the image), with dpkg-statoverride, and with `expect` of the recipe. A new kind is a function and a row in KINDS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from builder.disk.accounts import Group, User
from builder.disk.dpkg import Package
from builder.disk.entry import Entry
from builder.disk.filetree import Tree
from builder.disk.fstab import Mount
from builder.plan.first_boot import CLOUD_CONFIG, FIRMWARE, render_cloud_config, render_sudoers
from builder.plan.kernel_words import find_ways_in, planned_words
from builder.plan.model import Plan
from builder.plan.user_data import digest_user_data
from builder.plan.ways.places import is_of_root
from builder.recipe.expect import Expected
from builder.rootfs.model import ACLS, CAPABILITY, CLOUD_DISTRO, DELIVERED, FSTAB_TYPES, HELD, RESOLVER
from builder.system.checksums import sha256_bytes
from builder.system.files import load_json
from builder.verify.facts.ways import find_beside_files, find_files_and_links

NO_LOGIN = frozenset(
    {"/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync", "/usr/bin/sync"}
)
"""Shells that let nobody in; `sync` is that of a user of Debian's."""
USER_DATA = f"{FIRMWARE}/user-data"
MODE = re.compile("[0-7]{1,5}")
OF_CMDLINE = "of the kernel's command line"
SPECIAL = ("device", "pipe", "socket")
ALWAYS_WRITABLE = ("/tmp", "/var/tmp")  # noqa: S108 - of the image


class System(Protocol):
    """What is asked of an image here."""

    @property
    def tree(self) -> Tree: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def packages(self) -> Mapping[str, Package]: ...
    @property
    def owners(self) -> Mapping[str, str]: ...
    @property
    def summed(self) -> Collection[str]: ...
    @property
    def users(self) -> Mapping[str, User]: ...
    @property
    def groups(self) -> Mapping[str, Group]: ...
    @property
    def fstab(self) -> Mapping[str, Mount]: ...
    @property
    def unlisted_programs(self) -> list[str]: ...
    @property
    def cmdline(self) -> list[str]: ...


class Rights:
    """Who may do what in an image, and who has asked for it."""

    def __init__(self, image: System) -> None:
        self._image = image
        self._found: dict[str, Mapping[str, str]] = {}

    @cached_property
    def delivered(self) -> Mapping[str, Mapping[str, str]]:
        """What the packages have brought, by kind."""
        text = self._image.tree.file(DELIVERED).content_string
        if not text:
            raise AssertionError(f"{DELIVERED} is missing: the build writes there what packages have delivered")
        try:
            kinds = load_json(text)
        except ValueError as error:
            raise AssertionError(f"{DELIVERED} is damaged: {error}") from None
        if not isinstance(kinds, dict):
            raise AssertionError(f"{DELIVERED} is damaged: it holds no table")
        return {kind: _take_texts(rows) for kind, rows in kinds.items() if isinstance(rows, dict)}

    def found(self, kind: str) -> Mapping[str, str]:
        """Return what there is of a kind, with what matters of each."""
        if kind not in self._found:
            row = KINDS[kind]
            self._found[kind] = {**row.find(self._image), **row.never_delivered(self._image)}
        return self._found[kind]

    def has(self, expected: Expected) -> bool:
        """Say whether the image has what a line of `expect` allows."""
        if expected.kind == "access" and expected.name.endswith("/"):
            return any(name.startswith(expected.name) for name in self.found("access"))
        if expected.kind in KINDS:
            return expected.name in self.found(expected.kind)
        return self._image.tree.find(expected.name) is not None

    def owned(self, path: str) -> str:
        """Return mode and owners of a path, as `delivered` has them; "missing" where it is not."""
        entry = self._image.tree.find(path)
        return _owned(self._image, entry) if entry else "missing"

    def check_asked(self, kind: str) -> None:
        """Raise AssertionError with a line for each thing of a kind that is not asked for; none is left out."""
        if unasked := self.find_unasked(kind):
            raise AssertionError("\n".join(unasked))

    def check_kept(self) -> None:
        """Raise AssertionError with a line for each set-id file that is not as its package brings it, or as
        dpkg-statoverride says."""
        wanted = {**self.delivered.get("setid", {}), **_overridden(self._image)}
        changed = {path: self.owned(path) for path, what in wanted.items() if self.owned(path) != what}
        # Of a package that a script of the board has removed.
        changed = {path: what for path, what in changed.items() if what != "missing" or self._find_package(path)}
        if changed:
            how = "dpkg-statoverride --update --add USER GROUP MODE PATH changes them for good"
            rows = [
                f"{_show(path)} is {what}; {self._find_bringer(path)} brings {wanted[path]}"
                for path, what in changed.items()
            ]
            raise AssertionError("\n".join([*sorted(rows), how]))

    def find_traces(self, pattern: str) -> list[str]:
        """Return what fits a pattern of paths and is not asked for, itself or a directory that it is in. Of a mount
        point it is what lies in its filesystem."""
        asked = [each.name.rstrip("/") for each in self._image.plan.expected if each.kind == "traces"]
        mounts = {slot.mount for slot in self._image.plan.disk.slots}
        asked += [f"{mount}/lost+found" for mount in mounts]
        found = [each.path for each in self._image.tree.glob(pattern)]
        found += [each.path for path in found if path in mounts for each in self._image.tree.glob(f"{path}/*")]
        found = [path for path in found if path not in mounts]
        return [path for path in found if not any(f"{path}/".startswith(f"{name}/") for name in asked)]

    def find_unasked(self, kind: str) -> list[str]:
        """Return a sentence for each thing of a kind that is not asked for: what it is, whose, and the line of the
        recipe that would allow it."""
        row = KINDS[kind]
        allowed = {**self.delivered.get(kind, {}), **row.own(self._image)}
        for name in row.never_delivered(self._image):
            allowed.pop(name, None)
        asked = {each.name for each in self._image.plan.expected if each.kind == kind}
        directories = tuple(name for name in asked if kind == "access" and name.endswith("/"))
        found = ((name, what) for name, what in self.found(kind).items() if not name.startswith(directories))
        unasked = {name: what for name, what in found if name not in asked and allowed.get(name) != what}
        return [self._explain(kind, name, what, allowed.get(name)) for name, what in sorted(unasked.items())]

    def _explain(self, kind: str, name: str, what: str, delivered: str | None) -> str:
        owner = self._find_package(name) if name.startswith("/") else ""
        facts = [what, f"of the package {owner}" if owner else "", f"which brings {delivered}" if delivered else ""]
        line = f"expect: {{{kind}: {{{json.dumps(name)}: WHY}}}}"
        own = "--user-data FILE, if it is yours, or " if name == self._user_data else ""
        return f"{_show(name)} ({', '.join(filter(None, facts))}); to allow it: {own}{line}"

    @cached_property
    def _user_data(self) -> str:
        """Where the user's own user-data is, in the letters that the FAT has."""
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


def _owned(image: System, entry: Entry) -> str:
    user, group = image.tree.users.get(entry.uid, entry.uid), image.tree.groups.get(entry.gid, entry.gid)
    return f"{entry.mode:04o} {user}:{group}"


def _find_setid(image: System) -> dict[str, str]:
    return {each.path: _owned(image, each) for each in image.tree.of_kind("file") if each.mode & 0o6000}


def _find_capabilities(image: System) -> dict[str, str]:
    files = image.tree.of_kind("file")
    return {each.path: each.xattrs[CAPABILITY].hex() for each in files if CAPABILITY in each.xattrs}


def _find_writable(image: System) -> dict[str, str]:
    entries = (each for each in image.tree.entries.values() if each.kind != "symlink" and each.mode & 0o002)
    return {each.path: f"{each.mode:04o}" for each in entries}


def _find_owners(image: System) -> dict[str, str]:
    """Return what of the system others than root own or may write."""
    entries = (each for each in image.tree.entries.values() if each.kind != "symlink" and is_of_root(each.path))
    return {
        each.path: _owned(image, each) + (" with an ACL" if each.xattrs.keys() & ACLS else "")
        for each in entries
        if each.uid or (each.gid and each.mode & 0o020) or each.xattrs.keys() & ACLS
    }


def _find_links(image: System) -> dict[str, str]:
    links = (each for each in image.tree.of_kind("symlink") if each.target != "/dev/null")
    return {each.path: each.target for each in links if image.tree.find(each.path) is None}


def _find_special(image: System) -> dict[str, str]:
    return {each.path: each.kind for each in image.tree.entries.values() if each.kind in SPECIAL}


def _find_shells(image: System) -> dict[str, str]:
    return {name: user.shell for name, user in image.users.items() if user.shell not in NO_LOGIN}


def _find_held(image: System) -> dict[str, str]:
    return {name: package.status for name, package in image.packages.items() if package.status == HELD}


def _find_swap(image: System) -> dict[str, str]:
    rows = [line.split() for line in image.tree.file("/etc/fstab").lines]
    return {row[0]: "swap" for row in rows if len(row) > 2 and row[2] == "swap"}


def _find_mounts(image: System) -> dict[str, str]:
    return {mount: row.kind for mount, row in image.fstab.items() if row.kind != "swap"}


def _find_programs(image: System) -> dict[str, str]:
    return {path: "of no package" for path in image.unlisted_programs if not path.startswith("/usr/local/")}


def _overridden(image: System) -> dict[str, str]:
    """What dpkg-statoverride says of set-id files: USER GROUP MODE PATH a line. Directories have lines of it too."""
    rows = [line.split(" ", 3) for line in image.tree.file("/var/lib/dpkg/statoverride").lines]
    modes = {row[3]: (int(row[2], 8), row) for row in rows if len(row) == 4 and MODE.fullmatch(row[2])}
    return {path: f"{mode:04o} {row[0]}:{row[1]}" for path, (mode, row) in modes.items() if mode & 0o6000}


def _find_beside_files(image: System) -> dict[str, str]:
    return {**_find_words(image), **find_beside_files(image)}


def _find_words(image: System) -> dict[str, str]:
    """Words of the kernel's command line that the plan does not have, and those of the plan that let somebody in."""
    planned, ways_in = planned_words(image.plan), set(find_ways_in(image.cmdline))
    found = [word for word in image.cmdline if word not in planned or word in ways_in]
    return dict.fromkeys(found, OF_CMDLINE)


def _written(image: System) -> dict[str, str]:
    """Files that the build writes itself, as it would have written them."""
    plan = image.plan
    has_distro = image.tree.find(CLOUD_DISTRO) is not None
    texts = {CLOUD_CONFIG: render_cloud_config(plan, has_distro=has_distro), **render_sudoers(plan)}
    files = {path: sha256_bytes(text.encode()) for path, text in texts.items()}
    laid = image.tree.find(USER_DATA)
    user_data = {laid.path: digest_user_data(plan.user_data)} if plan.user_data and laid else {}
    return files | user_data


@dataclass(frozen=True)
class Kind:
    """A kind of thing: how it is found, and what is always right."""

    find: Callable[[System], Mapping[str, str]]
    own: Callable[[System], Mapping[str, str]] = lambda _: {}
    never_delivered: Callable[[System], Mapping[str, str]] = lambda _: {}
    """What else is found, and no package can bring, whatever the image says of that."""


KINDS: Mapping[str, Kind] = {
    "setid": Kind(_find_setid, _overridden),
    "capabilities": Kind(_find_capabilities),
    "writable": Kind(_find_writable, lambda _: dict.fromkeys(ALWAYS_WRITABLE, "1777")),
    "owners": Kind(_find_owners),
    "links": Kind(_find_links, lambda _: {"/etc/resolv.conf": RESOLVER}),
    "special": Kind(_find_special),
    "shells": Kind(_find_shells, lambda image: {name: user.shell for name, user in image.plan.recipe.users.items()}),
    "held": Kind(_find_held),
    "swap": Kind(_find_swap),
    "mounts": Kind(
        _find_mounts, lambda image: {each.mount: FSTAB_TYPES[each.filesystem] for each in image.plan.disk.slots}
    ),
    "programs": Kind(_find_programs),
    "access": Kind(find_files_and_links, _written, _find_beside_files),
}
