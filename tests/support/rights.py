# SPDX-License-Identifier: MIT
"""A small image: a tree, what packages delivered into it, and what its recipe expects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from builder.disk.accounts import read_groups, read_users
from builder.disk.dpkg import read_owners, read_packages, read_sums
from builder.disk.entry import Entry
from builder.disk.filetree import FileTree
from builder.disk.fstab import read_fstab
from builder.filesystem import Filesystem
from builder.plan.kernel_words import split_words
from builder.plan.model import Plan
from builder.recipe.expect import Expected
from builder.recipe.model import User
from builder.rootfs.model import DELIVERED
from builder.verify.facts.rights import Rights
from tests.support.trees import make_tree

PASSWD = (
    "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\npi:x:1000:1000::/home/pi:/bin/zsh\n"
)
NOTHING = hashlib.sha256(b"").hexdigest()
FILES = {
    "/etc/passwd": PASSWD,
    "/etc/group": "root:x:0:\nshadow:x:42:\n",
    "/etc/fstab": "PARTUUID=1 / ext4 defaults 0 1\n",
    "/var/lib/dpkg/status": "Package: less\nStatus: install ok installed\nVersion: 1\n",
    "/var/lib/dpkg/info/passwd.list": "/usr/bin/passwd\n/usr/bin/chage\n",
    "/var/lib/dpkg/info/tool.md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/bin/tool\n",
    "/usr/bin/passwd": "",
    "/usr/bin/tool": "",
    DELIVERED: json.dumps(
        {
            "format": 1,
            "setid": {"/usr/bin/passwd": "4755 root:root"},
            "shells": {"root": "/bin/bash"},
            "links": {"/a": "b"},
            "access": {"/usr/bin/passwd": hashlib.sha256(b"").hexdigest()},
        }
    ),
}


class Image:
    """A small image: a tree, and what the recipe asks for."""

    def __init__(self, tree: FileTree, *expected: Expected, slots: Sequence[SimpleNamespace]) -> None:
        self.tree = tree
        users = {"pi": User(shell="/bin/zsh", sudo="nopasswd", groups=["docker"])}
        recipe = SimpleNamespace(users=users, boot=SimpleNamespace(method="raspi"))
        disk, words = SimpleNamespace(slots=slots), "root=PARTUUID=1 quiet systemd.unit=rescue.target -- --crash-shell"
        facts = {"recipe": recipe, "disk": disk, "expected": expected, "user_data": None, "kernel_cmdline": words}
        self.plan = cast("Plan", SimpleNamespace(**facts))
        self.packages = read_packages(tree.file("/var/lib/dpkg/status").content_string)
        self.owners = read_owners(tree)
        self.summed = frozenset(path for path, _ in read_sums(tree))
        self.users = read_users(tree.file("/etc/passwd").content_string)
        self.groups = read_groups(tree.file("/etc/group").content_string)
        self.fstab = read_fstab(tree.file("/etc/fstab").content_string)
        self.unlisted_programs = [each.path for each in tree.glob("/usr/bin/*") if each.path == "/usr/bin/new"]
        self.cmdline = split_words(tree.file("/boot/cmdline.txt").content_string)


Change = Callable[[dict[str, Entry]], object]


def put(path: str, **fields: object) -> Change:
    """Return what puts another thing into a tree."""
    plain = Entry(path, "file", 0o644, 0, 0, 0, 0)

    def change(entries: dict[str, Entry]) -> None:
        entries[path] = replace(entries.get(path, plain), **fields)  # type: ignore[arg-type]

    return change


ROOT_SLOT = SimpleNamespace(mount="/", filesystem=Filesystem.EXT4)


def make_image(
    work: Path,
    change: Change,
    *expected: Expected,
    files: dict[str, str] | None = None,
    slots: Sequence[SimpleNamespace] = (ROOT_SLOT,),
) -> Rights:
    entries = dict(make_tree(work, {**FILES, **(files or {})}).entries)
    put("/usr/bin/passwd", mode=0o4755)(entries)
    change(entries)
    return Rights(Image(FileTree(entries.values()), *expected, slots=slots))


def allow(kind: str, name: str) -> Expected:
    return Expected(kind, name, "for a test", "mine/board.yaml:17")
