# SPDX-License-Identifier: MIT
"""What packages and the build have delivered, measured in small trees."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path

import pytest

from builder.rootfs.delivered import (
    add_built,
    add_packages,
    add_written,
    find_configured,
    find_delivered,
    write_delivered,
)
from builder.rootfs.model import ACLS, CAPABILITY, DELIVERED
from tests.support.rights import NOTHING

NO_ID = 0xFFFFFFFF
STATUS = "Package: {}\nStatus: {}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n\n"


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


def test_a_script_of_the_board_may_leave_fstab_out_or_make_a_link_of_it(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").touch()
    assert find_configured(tmp_path) == {"held": {}, "swap": {}, "mounts": {}}
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").symlink_to("/proc/self/mounts")  # Of the tree, which has none; not of this machine.
    assert find_configured(tmp_path)["mounts"] == {}
