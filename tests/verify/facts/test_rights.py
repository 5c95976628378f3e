# SPDX-License-Identifier: MIT
"""What an image has and nobody has asked for, in small trees: each kind, and the line that allows it."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from builder.disk.accounts import read_groups, read_users
from builder.disk.dpkg import read_owners, read_packages, read_sums
from builder.disk.entry import Entry
from builder.disk.filetree import FileTree
from builder.disk.fstab import read_fstab
from builder.filesystem import Filesystem
from builder.plan.kernel_words import split_words
from builder.plan.model import Plan
from builder.recipe.expect import Expect, Expected
from builder.recipe.model import User
from builder.rootfs.delivered import (
    add_built,
    add_packages,
    add_written,
    find_configured,
    find_delivered,
    write_delivered,
)
from builder.rootfs.model import ACLS, CAPABILITY, DELIVERED
from builder.verify.facts.rights import KINDS, Rights
from builder.verify.facts.ways import MOST_JUDGED, SEED_COST
from tests.support.file_trees import make_tree

PASSWD = (
    "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\npi:x:1000:1000::/home/pi:/bin/zsh\n"
)
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


NO_ID = 0xFFFFFFFF
NOTHING = hashlib.sha256(b"").hexdigest()
STATUS = "Package: {}\nStatus: {}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n\n"


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


ADDED: dict[str, tuple[str, Change, dict[str, str]]] = {
    "access": ("/etc/ssh/sshd_config.d/x.conf", put("/etc/ssh/sshd_config.d/x.conf"), {}),
    "setid": ("/usr/bin/tool", put("/usr/bin/tool", mode=0o2755, gid=42), {}),
    "capabilities": ("/usr/bin/tool", put("/usr/bin/tool", xattrs={CAPABILITY: b"\1"}), {}),
    "writable": ("/usr/bin/tool", put("/usr/bin/tool", mode=0o666), {}),
    "owners": ("/boot/x", put("/boot/x", uid=33), {}),
    "links": ("/srv/x", put("/srv/x", kind="symlink", target="nowhere"), {}),
    "special": ("/srv/x", put("/srv/x", kind="pipe"), {}),
    "shells": ("www-data", lambda _: None, {"/etc/passwd": PASSWD.replace("/usr/sbin/nologin", "/bin/sh")}),
    "held": ("less", lambda _: None, {"/var/lib/dpkg/status": "Package: less\nStatus: hold ok installed\n"}),
    "swap": ("/swap", lambda _: None, {"/etc/fstab": "PARTUUID=1 / ext4 defaults 0 1\n/swap none swap sw\n"}),
    "mounts": ("/srv", lambda _: None, {"/etc/fstab": "PARTUUID=1 / ext4 defaults 0 1\nt /srv tmpfs size=1M 0 0\n"}),
    "programs": ("/usr/bin/new", put("/usr/bin/new", mode=0o755), {}),
}
"""For each kind: a name, and what brings it into an image."""


def allow(kind: str, name: str) -> Expected:
    return Expected(kind, name, "for a test", "mine/board.yaml:17")


@pytest.mark.parametrize("kind", ADDED)
def test_a_thing_that_is_not_asked_for_is_named_with_the_line_that_allows_it(kind: str, tmp_path: Path) -> None:
    name, change, files = ADDED[kind]
    image = make_image(tmp_path, change, files=files)
    with pytest.raises(AssertionError) as caught:
        image.check_asked(kind)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name} (")
    assert line.endswith(f'to allow it: expect: {{{kind}: {{"{name}": WHY}}}}')
    others = [each for each in KINDS if each not in (kind, "writable" if kind == "special" else kind)]
    for other in others:
        image.check_asked(other)


@pytest.mark.parametrize("kind", ADDED)
def test_a_line_allows_what_it_names_and_nothing_else(kind: str, tmp_path: Path) -> None:
    name, change, files = ADDED[kind]
    asked = make_image(tmp_path, change, allow(kind, name), files=files)
    asked.check_asked(kind)
    assert asked.has(allow(kind, name))
    assert not asked.has(allow(kind, f"{name}2"))
    other = make_image(tmp_path, change, allow(kind, f"{name}2"), files=files)
    with pytest.raises(AssertionError):
        other.check_asked(kind)


@pytest.mark.parametrize(
    ("cmdline", "found"),
    [
        ("root=PARTUUID=1 quiet rw rootwait fsck.repair=yes net.ifnames=0", []),  # the last four are the hook's
        ("root=PARTUUID=1 quiet quiet", []),
        ("root=PARTUUID=1 root=/dev/sda9", ["root=/dev/sda9"]),
        ("root=PARTUUID=1 rootfstype=9p console=ttyS0", ["console=ttyS0", "rootfstype=9p"]),
        ('root=PARTUUID=1 "init=/bin/sh"', ["init=/bin/sh"]),
        ("root=PARTUUID=1 systemd.unit=rescue.target", ["systemd.unit=rescue.target"]),
        ("root=PARTUUID=1 -- quiet", ["--", "quiet"]),
        ("root=PARTUUID=1 -- --crash-shell", ["--", "--crash-shell"]),
        ("quiet\u2003root=PARTUUID=1", ["quiet\\u2003root=PARTUUID=1"]),  # one word for the kernel
    ],
)
def test_words_of_the_kernel_are_those_of_the_plan(cmdline: str, found: list[str], tmp_path: Path) -> None:
    """A word of the recipe needs a line of `expect` only where it lets somebody in; any other word does."""
    image = make_image(tmp_path, lambda _: None, files={"/boot/cmdline.txt": cmdline})
    assert [row.partition(" (of the kernel's")[0].strip('"') for row in image.find_unasked("access")] == found
    asked = make_image(
        tmp_path,
        lambda _: None,
        *(allow("access", word) for word in image.found("access")),
        files={"/boot/cmdline.txt": cmdline},
    )
    asked.check_asked("access")


def test_no_word_of_the_kernel_is_brought_by_a_package(tmp_path: Path) -> None:
    word, what = "init=/bin/sh", "of the kernel's command line"
    listed = json.loads(FILES[DELIVERED])
    delivered = json.dumps({**listed, "access": {**listed.get("access", {}), word: what}})
    image = make_image(tmp_path, lambda _: None, files={"/boot/cmdline.txt": word, DELIVERED: delivered})
    (said,) = image.find_unasked("access")
    assert said.startswith(f"{word} ({what}")


def test_files_that_take_long_to_judge_are_ways_in_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def note(entry: Entry, limit: int | None = None) -> bytes:
        read.append(entry.path)
        return original(entry, limit)

    original = Entry.read
    seeds = {f"/srv/{number}/user-data": "#cloud-config\nhostname: x\n".ljust(32000) for number in range(20)}
    rules = {"/etc/udev/rules.d/1.rules": 'KERNEL=="x"\n' * 90_000, "/etc/udev/rules.d/2.rules": 'KERNEL=="x"\n'}
    image = make_image(tmp_path, lambda _: None, files={**seeds, **rules})
    monkeypatch.setattr(Entry, "read", note)
    found = [row.partition(" ")[0] for row in image.find_unasked("access")]
    judged = [path for path in read if path.endswith("user-data")]
    assert len(judged) == MOST_JUDGED // SEED_COST // 32000
    assert set(found) == seeds.keys() - set(judged) | {"/etc/udev/rules.d/1.rules"}
    assert "/etc/udev/rules.d/1.rules" not in read


def test_no_mount_over_a_place_of_access_is_brought_by_a_package(tmp_path: Path) -> None:
    row = "/dev/sda1 /etc/ssh ext4 defaults 0 2\n"
    what = "mounted by fstab from /dev/sda1"
    listed = json.loads(FILES[DELIVERED])
    delivered = json.dumps({**listed, "access": {**listed.get("access", {}), "/etc/ssh": what}})
    image = make_image(tmp_path, lambda _: None, files={"/etc/fstab": row, DELIVERED: delivered})
    (said,) = image.find_unasked("access")
    assert said.startswith(f"/etc/ssh ({what}")


def test_every_kind_of_a_recipe_is_one_that_specs_ask() -> None:
    assert {*KINDS, "traces", "listening"} == set(Expect.model_fields)
    assert set(ADDED) == set(KINDS)


def test_what_packages_deliver_needs_no_line(tmp_path: Path) -> None:
    image = make_image(tmp_path, put("/a", kind="symlink", target="b"))
    for kind in KINDS:
        image.check_asked(kind)


def test_another_mode_than_the_packages_is_told_with_both(tmp_path: Path) -> None:
    image = make_image(tmp_path, put("/usr/bin/passwd", mode=0o6755))
    with pytest.raises(AssertionError, match="6755 root:root, of the package passwd, which brings 4755 root:root"):
        image.check_asked("setid")
    with pytest.raises(AssertionError, match="/usr/bin/passwd is 6755 root:root; its package passwd brings 4755"):
        image.check_kept()


def test_a_right_that_was_taken_away_is_told(tmp_path: Path) -> None:
    make_image(tmp_path, put("/other")).check_kept()
    with pytest.raises(AssertionError, match="/usr/bin/passwd is 0755 root:root"):
        make_image(tmp_path, put("/usr/bin/passwd", mode=0o755)).check_kept()
    with pytest.raises(AssertionError, match="/usr/bin/passwd is missing"):
        make_image(tmp_path, lambda entries: entries.pop("/usr/bin/passwd")).check_kept()


def test_a_right_that_went_with_its_package_is_not_missed(tmp_path: Path) -> None:
    def purge(entries: dict[str, Entry]) -> None:
        del entries["/usr/bin/passwd"], entries["/var/lib/dpkg/info/passwd.list"]

    make_image(tmp_path, purge).check_kept()


def test_dpkg_statoverride_is_obeyed(tmp_path: Path) -> None:
    files = {"/var/lib/dpkg/statoverride": "root shadow 2755 /usr/bin/passwd\n_chrony _chrony 750 /var/log/chrony\n"}
    image = make_image(tmp_path, put("/usr/bin/passwd", mode=0o2755, gid=42), files=files)
    image.check_asked("setid")
    image.check_kept()


def test_what_dpkg_statoverride_says_is_there(tmp_path: Path) -> None:
    files = {"/var/lib/dpkg/statoverride": "root shadow 2755 /usr/bin/tool\n"}
    with pytest.raises(
        AssertionError, match="/usr/bin/tool is 0644 root:root; a package or dpkg-statoverride brings 2755"
    ):
        make_image(tmp_path, put("/other"), files=files).check_kept()


def test_every_path_is_told_and_none_writes_to_a_terminal(tmp_path: Path) -> None:
    def change(entries: dict[str, Entry]) -> None:
        for number in range(300):
            put(f"/srv/{number}\x1b[31m", mode=0o666)(entries)

    with pytest.raises(AssertionError) as caught:
        make_image(tmp_path, change).check_asked("writable")
    assert len(str(caught.value).splitlines()) == 300
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "fields", "found"),
    [
        ("/etc", {"kind": "directory", "uid": 33, "mode": 0o755}, "0755 www-data:root"),
        ("/", {"kind": "directory", "uid": 33, "mode": 0o755}, "0755 www-data:root"),
        ("/etc/pam.d/x", {"gid": 42, "mode": 0o664}, "0664 root:shadow"),
        ("/etc/pam.d/x", {"gid": 42, "mode": 0o644}, ""),
        ("/etc/pam.d/x", {"gid": 0, "mode": 0o664}, ""),
        ("/usr/bin/a\nb", {"uid": 33}, "0644 www-data:root"),
        ("/var/spool/cron/x", {"uid": 33}, "0644 www-data:root"),
        ("/root/x", {"xattrs": {ACLS[0]: b"\2"}}, "0644 root:root with an ACL"),
        ("/boot", {"kind": "directory", "mode": 0o755, "xattrs": {ACLS[1]: b"\2"}}, "0755 root:root with an ACL"),
        ("/etc/x", {"kind": "symlink", "target": "x", "uid": 33}, ""),
        ("/srv/x", {"uid": 33}, ""),
        ("/home/pi/x", {"uid": 33}, ""),
    ],
)
def test_what_others_than_root_may_write_of_the_system_is_found(
    tmp_path: Path, path: str, fields: dict[str, object], found: str
) -> None:
    assert make_image(tmp_path, put(path, **fields)).found("owners").get(path, "") == found


def test_traces_are_allowed_with_what_is_below(tmp_path: Path) -> None:
    files = {"/var/lib/docker/x": ""}
    image = make_image(tmp_path, put("/other"), allow("traces", "/var/lib/docker"), files=files)
    assert image.find_traces("/var/lib/docker/*") == []
    assert image.has(allow("traces", "/var/lib/docker/x"))
    other = make_image(tmp_path, put("/other"), allow("traces", "/var/lib/dock"), files=files)
    assert other.find_traces("/var/lib/docker/*") == ["/var/lib/docker/x"]


def test_a_filesystem_of_its_own_is_no_trace_and_what_is_in_it_is(tmp_path: Path) -> None:
    slots = (
        SimpleNamespace(mount="/", filesystem=Filesystem.EXT4),
        SimpleNamespace(mount="/var/lib/docker", filesystem=Filesystem.EXT4),
    )
    image = make_image(tmp_path, put("/other"), files={"/var/lib/docker/lost+found/x": ""}, slots=slots)
    assert image.find_traces("/var/lib/docker") == []
    image = make_image(tmp_path, put("/other"), files={"/var/lib/docker/x": ""}, slots=slots)
    assert image.find_traces("/var/lib/docker") == ["/var/lib/docker/x"]
    image = make_image(tmp_path, put("/other"), files={"/var/lib/docker/x": ""})
    assert image.find_traces("/var/lib/docker") == ["/var/lib/docker"]


def test_an_image_without_the_list_says_so(tmp_path: Path) -> None:
    image = make_image(tmp_path, lambda entries: entries.pop(DELIVERED))
    with pytest.raises(AssertionError, match=r"delivered\.json is missing"):
        image.check_asked("setid")


@pytest.mark.machine
def test_a_tree_of_packages_is_measured(tmp_path: Path) -> None:
    for directory in ("etc", "usr/bin", "usr/lib/boardwright", "run", "srv"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n+::::::\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n_ssh:x:101:\n")
    agent = tmp_path / "usr/bin/ssh-agent"
    agent.touch()
    os.chown(agent, 0, 101)
    agent.chmod(0o2755)
    capable = tmp_path / "usr/bin/mtr-packet"
    capable.touch()
    os.setxattr(capable, CAPABILITY, bytes.fromhex("0100000200200000000000000000000000000000"))
    (tmp_path / "srv/open").mkdir()
    (tmp_path / "srv/open").chmod(0o1777)
    (tmp_path / "etc/mtab").symlink_to("../proc/self/mounts")
    (tmp_path / "etc/group2").symlink_to("/etc/group")
    (tmp_path / "etc/round").symlink_to("round")
    os.mkfifo(tmp_path / "run/pipe")
    for name, uid, gid, mode in (("a", 33, 0, 0o644), ("b", 0, 101, 0o664), ("c", 0, 101, 0o644), ("d", 0, 0, 0o664)):
        (tmp_path / "srv" / name).touch()
        (tmp_path / f"etc/{name}").mkdir()
        for place in ("srv", "etc"):
            os.chown(tmp_path / place / name, uid, gid)
            (tmp_path / place / name).chmod(mode)
    rows = ((1, 6, NO_ID), (2, 6, 33), (4, 4, NO_ID), (16, 6, NO_ID), (32, 4, NO_ID))  # acl(5): the user 33 may write.
    os.setxattr(tmp_path / "etc/c", ACLS[0], b"\2\0\0\0" + b"".join(struct.pack("<HHI", *row) for row in rows))
    found = find_delivered(tmp_path)
    assert found == {
        "setid": {"/usr/bin/ssh-agent": "2755 root:_ssh"},
        "capabilities": {"/usr/bin/mtr-packet": "0100000200200000000000000000000000000000"},
        "writable": {"/srv/open": "1777"},
        "owners": {"/etc/a": "0644 33:root", "/etc/b": "0664 root:_ssh", "/etc/c": "0664 root:_ssh with an ACL"},
        "links": {"/etc/mtab": "../proc/self/mounts", "/etc/round": "round"},
        "special": {"/run/pipe": "pipe"},
        "access": {
            "/etc/group2": "-> /etc/group",
            "/etc/round": "-> round",
            "/usr/bin/mtr-packet": NOTHING,
            "/usr/bin/ssh-agent": NOTHING,
        },
        "shells": {"root": "/bin/bash"},
    }
    write_delivered(tmp_path, found)
    assert json.loads((tmp_path / DELIVERED.lstrip("/")).read_text()) == {"format": 1, **found}


def test_what_a_script_of_the_board_holds_swaps_to_and_mounts_is_delivered(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    rows = (
        "# source mount",
        "PARTUUID=1 / ext4 defaults 0 1",
        "tmpfs /srv/h\udcfc tmpfs size=1M",
        "/swap none swap sw 0 0",
    )
    (tmp_path / "etc/fstab").write_text("\n".join(rows), errors="surrogateescape")
    status = [("less", "hold ok installed"), ("vim", "install ok installed")]
    (tmp_path / "var/lib/dpkg/status").write_text("".join(STATUS.format(*row) for row in status))
    found = find_configured(tmp_path)
    assert found == {
        "held": {"less": "hold ok installed"},
        "swap": {"/swap": "swap"},
        "mounts": {"/": "ext4", "/srv/h\udcfc": "tmpfs"},
    }
    write_delivered(tmp_path, found)
    assert json.loads((tmp_path / DELIVERED.lstrip("/")).read_text()) == {"format": 1, **found}


@pytest.mark.machine
def test_packages_that_a_script_of_the_board_installs_are_packages(tmp_path: Path) -> None:
    for directory in ("etc", "usr/bin", "var/lib/dpkg/info"):
        (tmp_path / directory).mkdir(parents=True)
    for name in ("crontab", "crontab2", "own"):
        (tmp_path / "usr/bin" / name).touch()
        (tmp_path / "usr/bin" / name).chmod(0o2755)
    (tmp_path / "var/lib/dpkg/info/cron:amd64.list").write_text("/.\n/bin/crontab\n")
    (tmp_path / "var/lib/dpkg/info/cron-daemon.list").write_text("/usr/bin/crontab2\n")
    before = {"setid": {"/usr/bin/su": "4755 root:root"}, "shells": {}}
    after = add_packages(before, tmp_path, ["cron"])
    assert after == {"setid": {"/usr/bin/su": "4755 root:root", "/usr/bin/crontab": "2755 0:0"}, "shells": {}}


def test_what_decides_who_gets_in_is_of_a_package_only_as_dpkg_has_it(tmp_path: Path) -> None:
    """A script installs vsftpd and proftpd, and changes files of theirs; one was laid by files/, one is of openssh."""
    files = {
        name: hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        for name in ("vsftpd", "laid", "changed", "sshd")
    }
    for directory in ("etc/pam.d", "usr/bin", "usr/sbin", "usr/lib/systemd", "var/lib/dpkg/info"):
        (tmp_path / directory).mkdir(parents=True)
    for name in files:
        (tmp_path / "etc/pam.d" / name).write_text("other" if name == "changed" else name)
    for place in ("usr/sbin/login", "usr/sbin/su"):
        (tmp_path / place).write_text("program")
    (tmp_path / "usr/sbin/getty").symlink_to("agetty")
    info = tmp_path / "var/lib/dpkg/info"
    (info / "vsftpd.list").write_text("".join(f"/etc/pam.d/{name}\n" for name in files) + "/sbin/login\n/sbin/getty\n")
    (info / "openssh-server.list").write_text("/etc/pam.d/sshd\n")
    for name in ("vsftpd.postinst", "vsftpd.extra.postinst", "openssh-server.prerm"):
        (info / name).write_text("script")
    digest = hashlib.md5(b"program", usedforsecurity=False).hexdigest()
    (info / "vsftpd.md5sums").write_text(f"{digest}  sbin/login\n")
    conffiles = "".join(f" /etc/pam.d/{name} {digest}\n" for name, digest in files.items())
    (tmp_path / "var/lib/dpkg/status").write_text(f"Package: vsftpd\nConffiles:\n{conffiles}Description: x\n")
    after = add_packages({"access": {"/etc/pam.d/sshd": "before"}}, tmp_path, ["vsftpd"], ["/etc/pam.d/laid"])
    hashes = {
        "/etc/pam.d/vsftpd": hashlib.sha256(b"vsftpd").hexdigest(),
        "/usr/sbin/login": hashlib.sha256(b"program").hexdigest(),
        "/var/lib/dpkg/info/vsftpd.postinst": hashlib.sha256(b"script").hexdigest(),
    }
    assert after == {"access": {"/etc/pam.d/sshd": "before", **hashes, "/usr/sbin/getty": "-> agetty"}}


def test_what_the_build_itself_makes_is_delivered(tmp_path: Path) -> None:
    """Before a script of the board runs, all but the board's own files; after that what it has written, by name."""
    for name in ("etc/own.conf", "etc/laid.conf", "etc/late.conf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "etc/link").symlink_to("own.conf")
    before = {"setid": {}, "access": {"/etc/laid.conf": "of a package"}}
    built = add_built(before, tmp_path, {"/etc/laid.conf"})
    own, late = (hashlib.sha256(name.encode()).hexdigest() for name in ("etc/own.conf", "etc/late.conf"))
    assert built == {
        "setid": {},
        "access": {
            "/etc/laid.conf": "of a package",
            "/etc/late.conf": late,
            "/etc/link": "-> own.conf",
            "/etc/own.conf": own,
        },
    }
    assert add_written(before, tmp_path, ["/etc/late.conf", "/etc/missing"])["access"] == {
        "/etc/laid.conf": "of a package",
        "/etc/late.conf": late,
    }


def test_a_program_of_login_is_held_by_what_the_build_wrote_down_not_by_lists_of_dpkg(tmp_path: Path) -> None:
    sums = hashlib.md5(b"another", usedforsecurity=False).hexdigest()
    files = {"/usr/bin/passwd": "another", "/var/lib/dpkg/info/passwd.md5sums": f"{sums}  usr/bin/passwd\n"}
    with pytest.raises(AssertionError, match=r"^/usr/bin/passwd \("):
        make_image(tmp_path, lambda _: None, files=files).check_asked("access")


@pytest.mark.parametrize(
    ("target", "is_found"),
    [
        ("libblas.so.3.1", False),  # The file itself is found.
        ("/etc/alternatives/blas", False),
        ("/srv/blas.so", True),
        ("/nowhere", True),
    ],
)
def test_a_link_of_a_library_leads_to_one_that_is_looked_at_or_of_a_package(
    tmp_path: Path, target: str, is_found: bool
) -> None:
    files = {
        "/usr/lib/arm-linux-gnueabihf/libblas.so.3.1": "",
        "/usr/lib/arm-linux-gnueabihf/blas/libblas.so.3": "",
        "/etc/alternatives/blas": "->/usr/lib/arm-linux-gnueabihf/blas/libblas.so.3",
        "/srv/blas.so": "",
        "/var/lib/dpkg/info/libblas3.list": "/lib/arm-linux-gnueabihf/blas/libblas.so.3\n",
        "/usr/lib/arm-linux-gnueabihf/libblas.so.3": f"->{target}",
    }
    found = make_image(tmp_path, lambda _: None, files=files).found("access")
    assert ("/usr/lib/arm-linux-gnueabihf/libblas.so.3" in found) is is_found
    assert "/usr/lib/arm-linux-gnueabihf/libblas.so.3.1" in found


@pytest.mark.parametrize(
    ("row", "is_found"),
    [
        ("/srv/p /etc/pam.d none bind 0 0", True),
        ("/srv/p /etc/pam.d proc noatime,rbind 0 0", True),
        ("LABEL=home /home ext4 defaults 0 0", True),
        ("/srv/e /etc none bind 0 0", True),
        ("tmpfs /boot/firmware tmpfs size=1M 0 0", True),
        ("tmpfs /var/cache/pictures tmpfs size=1M 0 0", False),
        ("proc /proc proc hidepid=2 0 0", False),
        ("LABEL=data /srv/data ext4 defaults 0 0", False),
        ("/swap none swap sw 0 0", False),
        ("/srv/h.img /home/pi ext4 loop 0 0", True),
        ("tmpfs /srv/x tmpfs x-systemd.requires=debug-shell.service 0 0", True),
        ("tmpfs /srv/x tmpfs nofail,x-systemd.wants=debug-shell.service,size=1M 0 0", True),
        ("tmpfs /srv/x tmpfs x-systemd.new-word 0 0", True),
        ("proc /proc proc x-systemd.requires=debug-shell.service 0 0", True),
        ("/srv/a none swap sw 0 0\n/srv/b none swap x-systemd.requires=debug-shell.service 0 0", True),
        (
            "tmpfs /srv/x tmpfs nofail,x-systemd.automount,x-systemd.device-timeout=5,x-systemd.after=a.service 0 0",
            False,
        ),
        ("/srv/a none swap sw 0 0\n/srv/b none swap sw 0 0", False),
    ],
)
def test_what_fstab_mounts_over_places_of_access_is_found(tmp_path: Path, row: str, is_found: bool) -> None:
    files = {"/etc/fstab": f"PARTUUID=1 / ext4 defaults 0 1\n{row}\n"}
    found = make_image(tmp_path, lambda _: None, files=files).found("access")
    source, where = row.rsplit("\n", maxsplit=1)[-1].split()[:2]
    assert ((source if where == "none" else where) in found) is is_found


def test_a_partition_of_the_recipe_starts_no_unit_either(tmp_path: Path) -> None:
    files = {"/etc/fstab": "PARTUUID=1 / ext4 defaults,x-systemd.requires=debug-shell.service 0 1\n"}
    assert "/" in make_image(tmp_path, lambda _: None, files=files).found("access")


@pytest.mark.parametrize(
    ("daemon", "is_found"),
    [
        ('{"data-root": "/srv/docker"}', True),
        ('{"data-root": "/srv/other/../docker/"}', True),
        ('{"data-root": "/srv/link"}', True),
        ('{"data-root": "/srv/empty"}', False),
        ('{"data-root": "/srv/none"}', False),
        ('{"data-root": 7}', False),
        ("{}", False),
    ],
)
def test_containers_in_an_image_need_a_line(tmp_path: Path, daemon: str, is_found: bool) -> None:
    files = {
        "/etc/docker/daemon.json": daemon,
        "/srv/docker/containers/x/config.v2.json": "{}",
        "/srv/link": "->docker",
    }
    image = make_image(tmp_path, put("/srv/empty", kind="directory"), files=files)
    place = json.loads(daemon).get("data-root")
    assert (place in image.found("access")) is is_found


@pytest.mark.parametrize("daemon", ["", "[1]", "{", '"/srv"'])
def test_a_configuration_of_docker_that_is_none_names_no_containers(tmp_path: Path, daemon: str) -> None:
    found = make_image(tmp_path, lambda _: None, files={"/etc/docker/daemon.json": daemon, "/srv/x": "x"}).found(
        "access"
    )
    assert "/srv" not in found


@pytest.mark.parametrize(
    ("path", "rows", "found"),
    [
        ("/etc/group", "root:x:0:root\ndocker:x:99:pi\ngpio:x:98:www-data", ""),
        ("/etc/group", "root:x:0:\nsudo:x:27:www-data,pi", "pi is in sudo; www-data is in sudo"),
        ("/etc/group", "root:x:0:\ndocker:x:99:mallory", "mallory is in docker"),
        ("/etc/group", "root:x:0:\nharmless:x:0:mallory", "mallory is in harmless"),
        ("/etc/group", "root:x:0:\ndisk:x:500:", "daemon is in disk"),
        ("/etc/subuid", "pi:100000:65536", ""),
        ("/etc/subuid", "pi:0:65536", "pi:0:65536"),
        ("/etc/subuid", "pi:400:200", "pi:400:200"),
        ("/etc/subuid", "pi:100000:65536\npi:900:5", "pi:900:5"),
        ("/etc/subuid", "pi:1000:1", "pi:1000:1"),
        ("/etc/subuid", "pi: 0:1", "pi: 0:1"),
        ("/etc/subgid", "pi:0:1:2", "pi:0:1:2"),
        ("/etc/subgid", "pi:100000:65536", ""),
    ],
)
def test_who_may_become_root_by_a_group_or_numbers_needs_a_line(
    tmp_path: Path, path: str, rows: str, found: str
) -> None:
    users = "root:x:0:0::/root:/bin/sh\ndaemon:x:499:500::/:/bin/false\npi:x:1000:1000::/home/pi:/bin/zsh\n"
    image = make_image(tmp_path, lambda _: None, files={"/etc/passwd": users, path: rows + "\n"})
    assert image.found("access").get(path, "") == found
    allowed = make_image(tmp_path, lambda _: None, allow("access", path), files={"/etc/passwd": users, path: rows})
    assert path not in " ".join(allowed.find_unasked("access"))


@pytest.mark.parametrize(
    ("path", "content", "is_found"),
    [
        ("/etc/harbour.conf", "x", True),
        ("/etc/harbour/harbour.conf", "x", True),
        ("/etc/exports.d/harbour.exports", "x", True),
        ("/etc/nginx/nginx.conf", "of the package", False),
        ("/etc/nginx/nginx.conf", "another", True),
        ("/etc/nginx/sites-enabled/x", "x", True),
        ("/etc/nginx/sites-enabled/y", "->../sites-available/y", True),
        ("/usr/lib/nginx/module.conf", "as dpkg has it", False),
        ("/usr/lib/harbour/x", "x", True),
        ("/usr/local/lib/harbour/x", "x", False),
        ("/usr/local/lib/harbour/x.so", "x", True),
        ("/usr/bin/python3", "->python3.13", False),
        ("/usr/bin/python3", "->/srv/p", True),
        ("/usr/local/bin/harbour", "x", False),
        ("/usr/local/bin/nginx", "x", True),  # It comes before that of the package.
        ("/root/.bashrc", "passwd -d root", True),
        ("/home/pi/.profile", "passwd -d root", True),
        ("/home/pi/notes", "x", False),
    ],
)
def test_a_part_of_the_system_is_of_a_package_or_of_the_build(
    tmp_path: Path, path: str, content: str, is_found: bool
) -> None:
    delivered = {
        **json.loads(FILES[DELIVERED]),
        "access": {
            "/usr/bin/passwd": NOTHING,
            "/etc/nginx/nginx.conf": hashlib.sha256(b"of the package").hexdigest(),
            "/usr/bin/python3": "-> python3.13",
        },
    }
    files = {
        DELIVERED: json.dumps(delivered),
        "/var/lib/dpkg/info/nginx.list": "/etc/nginx\n/etc/nginx/nginx.conf\n/usr/lib/nginx\n/usr/sbin/nginx\n",
        "/var/lib/dpkg/info/nginx.md5sums": "0  usr/lib/nginx/module.conf\n",
    }
    image = make_image(tmp_path, lambda _: None, files={**files, path: content})
    assert [row.partition(" (")[0] for row in image.find_unasked("access")] == [path] * is_found


def test_a_line_for_a_directory_allows_what_lies_in_it(tmp_path: Path) -> None:
    lines = allow("access", "/etc/nginx/"), allow("access", "/etc/ngin/")
    files = {
        "/etc/nginx/a": "x",
        "/etc/nginx/b/c": "x",
        "/etc/nginx.conf": "x",
        "/var/lib/dpkg/info/n.list": "/etc/nginx\n",
    }
    image = make_image(tmp_path, lambda _: None, *lines, files=files)
    assert [row.partition(" (")[0] for row in image.find_unasked("access")] == ["/etc/nginx.conf"]
    assert [image.has(line) for line in lines] == [True, False]


@pytest.mark.parametrize(
    ("path", "target", "is_found"),
    [
        ("harbour.service", "/srv/harbour.service", True),
        ("harbour.service", "own.service", False),
        # A whole unit may start a program of the board's own, a part of another's may not.
        ("getty@tty1.service.d/x.conf", "../own.service", True),
        ("own.timer", "own.service", True),
    ],
)
def test_a_file_is_judged_by_the_name_of_the_link_to_it(tmp_path: Path, path: str, target: str, is_found: bool) -> None:
    units = "/etc/systemd/system"
    files = {
        f"{units}/own.service": "[Service]\nExecStart=/opt/own\n",
        "/srv/harbour.service": "[Service]\nExecStart=/usr/bin/passwd -d root\n",
        f"{units}/{path}": f"->{target}",
    }
    found = make_image(tmp_path, lambda _: None, files=files).found("access")
    assert (f"{units}/{path}" in found) is is_found
    assert f"{units}/own.service" not in found


def test_a_shell_behind_two_links_is_found(tmp_path: Path) -> None:
    files = {
        "/usr/lib/systemd/system/debug-shell.service": "[Service]\nExecStart=/opt/x\n",
        "/srv/a.service": "->/usr/lib/systemd/system/debug-shell.service",
        "/etc/systemd/system/x.service": "->/srv/a.service",
    }
    assert "/etc/systemd/system/x.service" in make_image(tmp_path, lambda _: None, files=files).found("access")


@pytest.mark.parametrize(
    ("path", "is_found"),
    [
        ("/usr/local/sbin/nginx", True),
        ("/usr/local/bin/nginx", True),
        ("/usr/local/bin/harbour", False),
        ("/usr/local/lib/docker/cli-plugins/docker-compose", True),
        ("/usr/local/libexec/docker/cli-plugins/docker-compose", True),
        ("/usr/local/lib/docker/cli-plugins/docker-harbour", False),
    ],
)
@pytest.mark.parametrize("content", ["x", "->/srv/x"])
def test_a_program_that_comes_before_one_of_a_package_is_found(
    tmp_path: Path, path: str, content: str, is_found: bool
) -> None:
    listed = "/usr/sbin/nginx\n/usr/libexec/docker/cli-plugins/docker-compose\n"
    files = {"/var/lib/dpkg/info/nginx.list": listed, "/srv/x": "x", path: content}
    assert (path in make_image(tmp_path, lambda _: None, files=files).found("access")) is is_found


def test_a_script_of_the_board_may_leave_fstab_out_or_make_a_link_of_it(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").touch()
    assert find_configured(tmp_path) == {"held": {}, "swap": {}, "mounts": {}}
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").symlink_to("/proc/self/mounts")  # Of the tree, which has none; not of this machine.
    assert find_configured(tmp_path)["mounts"] == {}
