# SPDX-License-Identifier: MIT
"""Rights that an image has and its recipe does not expect, in small trees: each kind, and the line that allows it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from builder.disk.entry import Entry
from builder.filesystem import Filesystem
from builder.recipe.expect import Expect
from builder.rootfs.model import ACLS, CAPABILITY, DELIVERED
from builder.verify.facts.rights import KINDS
from tests.support.rights import PASSWD, Change, allow, make_image, put

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
