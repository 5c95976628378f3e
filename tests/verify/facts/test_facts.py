# SPDX-License-Identifier: MIT
"""What is read of small trees: users, packages, boot entries, units, programs, blobs."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from builder.disk.accounts import read_groups, read_shadow, read_users
from builder.disk.blobs import written_ranges
from builder.disk.dpkg import find_changed_files, read_packages
from builder.disk.elf import is_foreign
from builder.disk.fstab import read_fstab
from builder.errors import VerifyError
from builder.plan.model import BlobPlan
from builder.verify.facts.blobs import differing_bytes
from builder.verify.facts.cloud import Cloud
from builder.verify.facts.image import ImageFacts
from builder.verify.facts.services import Services
from builder.verify.live.system import Listener, load_listener
from tests.support.trees import make_tree


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/etc/*", ["/etc/a.conf", "/etc/b.conf", "/etc/x"]),
        ("/etc/?.conf", ["/etc/a.conf", "/etc/b.conf"]),
        ("/etc/[ab].conf", ["/etc/a.conf", "/etc/b.conf"]),
        ("/*/x", ["/etc/x"]),
        ("/etc/*/*.conf", ["/etc/x/a.conf"]),
        ("/etc/a.conf", ["/etc/a.conf"]),
        ("/etc/a+conf", []),
        ("/etc/a", []),
        ("*.conf", []),
    ],
)
def test_a_pattern_is_of_a_whole_path(tmp_path: Path, pattern: str, found: list[str]) -> None:
    tree = make_tree(tmp_path, {"/etc/a.conf": "", "/etc/b.conf": "", "/etc/x/a.conf": "", "/usr/etc/x/y": ""})
    assert sorted(entry.path for entry in tree.glob(pattern)) == found


def test_accounts_are_read_by_name() -> None:
    users = read_users("root:x:0:0:root:/root:/bin/bash\n\n# a comment\nanne::1000:1000::/home/anne:/bin/sh\n")
    assert (users["anne"].password, users["anne"].uid, users["root"].shell) == ("", 1000, "/bin/bash")
    assert read_groups("docker:x:996:anne,bob\nempty:x:5:\n")["docker"].members == ("anne", "bob")
    assert read_shadow("anne:!:1:0:::::\n") == {"anne": "!"}


@pytest.mark.parametrize(
    ("read", "text", "line"),
    [
        (read_users, "evil::+0:0::/:/bin/sh\n", "evil::\\+0"),  # uid 0 for glibc, which takes the sign
        (read_users, "evil::0:0\n", "evil::0:0"),
        (read_users, "a:x:0:0::/:/bin/sh\na:x:9:9::/:/bin/sh\n", "a:x:9"),  # uid 0 for glibc, which takes the first
        (read_users, "a:x:1:1:\x0b:/:/bin/sh:\n", "a:x:1"),
        (read_groups, "docker:x:zz:\n", "docker:x:zz"),
        (read_shadow, "a::1:0:::::\na:!:1:0:::::\n", "a:!"),
        (read_shadow, "a:\n", "a:"),
    ],
)
def test_a_line_that_hides_an_account_is_refused(
    read: Callable[[str], Mapping[str, object]], text: str, line: str
) -> None:
    with pytest.raises(VerifyError, match=f"has the line '{line}.*allowed: [479] fields"):
        read(text)


@pytest.mark.parametrize("size", ["", "5x", "-1", "9" * 5000])
def test_a_size_that_is_no_number_is_none(size: str) -> None:
    text = f"Package: a\nStatus: install ok installed\nInstalled-Size: {size}\n"
    assert read_packages(text)["a"].size_kib == 0


def test_a_turn_of_fsck_that_is_no_number_is_none() -> None:
    assert read_fstab("/dev/a / ext4 defaults 0 x\n/dev/b /b ext4 defaults 0 2\n")["/"].turn == 0


def test_packages_are_read_with_their_state() -> None:
    text = (
        "Package: a\nStatus: install ok installed\nVersion: 1:2\nArchitecture: arm64\nInstalled-Size: 5\n"
        "Conffiles:\n /etc/a 0123456789abcdef0123456789abcdef\n\nPackage: b\nStatus: deinstall ok config-files\n"
    )
    packages = read_packages(text)
    assert (packages["a"].version, packages["a"].size_kib, list(packages["a"].conffiles)) == ("1:2", 5, ["/etc/a"])
    assert packages["b"].status == "deinstall ok config-files"


def test_changed_and_missing_files_of_packages_are_named(tmp_path: Path) -> None:
    sums = {name: hashlib.md5(name.encode()).hexdigest() for name in ("good", "bad", "moved")}
    tree = make_tree(
        tmp_path,
        {
            "/usr/good": "good",
            "/usr/bad": "worse",
            "/usr/moved": "another package's",
            "/usr/moved.distrib": "moved",
            "/var/lib/dpkg/diversions": "/usr/moved\n/usr/moved.distrib\nother\n",
            "/var/lib/dpkg/info/a.md5sums": f"{sums['good']}  usr/good\n{sums['bad']}  usr/bad\n"
            f"{sums['bad']}  usr/gone\n{sums['moved']}  usr/moved\n",
        },
    )
    assert find_changed_files(tree) == {
        "/usr/bad": "is not as its package delivers it",
        "/usr/gone": "is missing",
    }


def test_units_are_enabled_by_links_and_not_by_masked_ones(tmp_path: Path) -> None:
    tree = make_tree(
        tmp_path,
        {
            "/usr/lib/systemd/system/a.service": "[Service]\nExecStart=-/bin/maybe\nExecStartPre=/bin/gone x\n",
            "/usr/lib/systemd/system/getty@.service": "[Service]\nExecStart=/bin/agetty\n",
            "/bin/agetty": "",
            "/etc/systemd/system/multi-user.target.wants/a.service": "->/usr/lib/systemd/system/a.service",
            "/etc/systemd/system/getty.target.wants/getty@tty1.service": "->/usr/lib/systemd/system/getty@.service",
            "/etc/systemd/system/multi-user.target.wants/m.service": "->/usr/lib/systemd/system/m.service",
            "/etc/systemd/system/m.service": "->/dev/null",
        },
    )
    services = Services(tree)
    assert services.is_enabled("a.service")
    assert services.is_enabled("getty@tty1.service")
    assert not services.is_enabled("m.service")
    assert not services.is_enabled("other.service")
    assert services.find("getty@tty1.service")
    assert services.missing_programs == ["a.service: /bin/gone"]


def test_a_program_with_half_a_pair_of_quotes_is_missing(tmp_path: Path) -> None:
    tree = make_tree(
        tmp_path,
        {
            "/usr/lib/systemd/system/a.service": "[Service]\nExecStart=/bin/\"sh -c x\nExecStartPre=/bin/'s'h\n",
            "/bin/sh": "",
            "/etc/systemd/system/multi-user.target.wants/a.service": "->/usr/lib/systemd/system/a.service",
        },
    )
    assert Services(tree).missing_programs == ['a.service: /bin/"sh']


def test_a_line_ends_with_a_line_feed_and_nothing_else(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, {"/x": "# a\u2028b\x85c\fd\ve\n\n  f \r\n"})
    assert tree.file("/x").lines == ["f"]
    sums = f"{hashlib.md5(b'x').hexdigest()}  usr/a\u2028b\n"
    tree = make_tree(tmp_path, {"/var/lib/dpkg/info/a.md5sums": sums, "/usr/a\u2028b": "x"})
    assert find_changed_files(tree) == {}


@pytest.mark.parametrize("path", ["/etc/passwd/../shadow", "/way", "/etc/passwd/x", "/deep/../etc/passwd/../shadow"])
def test_no_way_leads_through_a_file(path: str, tmp_path: Path) -> None:
    files = {"/etc/passwd": "", "/etc/shadow": "", "/way": "->/etc/passwd/../shadow", "/deep/x": ""}
    assert make_tree(tmp_path, files).find(path) is None


def test_links_are_followed_as_far_as_linux_does(tmp_path: Path) -> None:
    links = {f"/l{number}": f"->/l{number + 1}" for number in range(6000)}
    tree = make_tree(tmp_path, {**links, "/l6000": ""})
    found = [path for path in links if tree.find(path)]
    assert found == [f"/l{number}" for number in range(5960, 6000)]
    begun = time.monotonic()
    assert [path for path in links if not tree.is_circle(path)] == found
    assert time.monotonic() - begun < 20


def test_steps_have_an_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.disk.filetree.MOST_STEPS", 100_000)
    links = {f"/l{number}": "->" + "d/../" * 700 + f"l{number + 1}" for number in range(100)}
    tree = make_tree(tmp_path, {**links, "/d/x": ""})
    with pytest.raises(VerifyError, match="the paths and links of the image have more than 100000 steps"):
        [tree.find(path) for path in links]


def test_cloud_init_files_are_judged_by_the_images_own_schema(tmp_path: Path) -> None:
    place = "/usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json"
    schema = '{"properties": {"hostname": {"type": "string"}}, "additionalProperties": false}'
    files = {"/good": "hostname: x\n", "/new": "hostname: x\nnew: 1\n", "/bad": "hostname: [x]\n", "/torn": "a: [\n"}
    cloud = Cloud(make_tree(tmp_path, {place: schema, **files}))
    assert cloud.find_user_data_faults("/good") == []
    assert cloud.find_user_data_faults("/new") == []
    assert cloud.find_user_data_faults("/bad") == ["hostname: found a list; expected text"]
    assert cloud.find_user_data_faults("/torn")


@pytest.mark.parametrize("text", ["a: [\n", f"a: {'9' * 5000}\n", "a: &a [*a]\n", "a: 2026-99-99\n", "a: \0\n"])
def test_a_file_of_cloud_init_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    cloud = Cloud(make_tree(tmp_path, {"/x": text}))
    with pytest.raises(VerifyError, match="/x of the image cannot be read by cloud-init: "):
        cloud.load("/x")


@pytest.mark.parametrize("top", ["network:\n  ", ""])
def test_a_network_config_has_its_outer_key_or_not(tmp_path: Path, top: str) -> None:
    good = f"{top}version: 2\n{'  ' if top else ''}ethernets: {{eth0: {{dhcp4: true}}}}\n"
    cloud = Cloud(make_tree(tmp_path, {"/good": good, "/bad": good.replace("ethernets", "ethernet")}))
    assert cloud.find_network_faults("/good") == []
    assert "did you mean" in cloud.find_network_faults("/bad")[0]


@pytest.mark.parametrize(
    ("machine", "architecture", "foreign"),
    [(62, "amd64", False), (62, "arm64", True), (183, "arm64", False), (247, "arm64", False), (0, "arm64", False)],
)
def test_a_program_is_of_its_processor(machine: int, architecture: str, *, foreign: bool) -> None:
    head = b"\x7fELF\x02\x01\x01" + bytes(11) + machine.to_bytes(2, "little")
    assert is_foreign(head, architecture) is foreign
    assert not is_foreign(b"#!/bin/sh", architecture)


def make_blob(content: bytes, work: Path, **facts: object) -> BlobPlan:
    (work / "blob").write_bytes(content)
    given = {"offset_bytes": 512, "limit_bytes": 4096, "holes": (), **facts}
    return BlobPlan("loader", "file", str(work / "blob"), None, **given)  # type: ignore[arg-type]


def disk_with(content: bytes) -> ImageFacts:
    disk = bytes(512) + content
    return cast(ImageFacts, SimpleNamespace(read_disk=lambda offset, size: disk[offset : offset + size]))


def test_a_blob_is_compared_byte_for_byte(tmp_path: Path) -> None:
    blob = make_blob(b"abcdef" * 100, tmp_path)
    assert differing_bytes(disk_with(b"abcdef" * 100), blob) == []
    assert differing_bytes(disk_with(b"abcdef" * 99 + b"abcdeX"), blob) == [512 + 599]


def test_a_truncated_blob_is_found(tmp_path: Path) -> None:
    blob = make_blob(b"abcdef" * 100, tmp_path)
    assert differing_bytes(disk_with(b"abcdef" * 50), blob)[0] == 512 + 300


def test_holes_of_a_blob_and_the_disk_signature_are_not_compared(tmp_path: Path) -> None:
    blob = make_blob(b"a" * 600, tmp_path, offset_bytes=0, holes=((100, 200),))
    disk = bytearray(b"a" * 600)
    disk[100:200] = bytes(100)
    disk[440:446] = bytes(6)
    subject = cast(ImageFacts, SimpleNamespace(read_disk=lambda offset, size: bytes(disk[offset : offset + size])))
    assert differing_bytes(subject, blob) == []
    assert list(written_ranges(blob, 150)) == [(0, 100)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=700,fd=6)) cgroup:/system.slice/ssh.service',
            Listener("tcp", "0.0.0.0", 22, "sshd", "ssh.service"),
        ),
        (
            'tcp LISTEN 0 4096 *:9090 *:* users:(("systemd",pid=1,fd=60)) cgroup:/init.scope v6only:0',
            Listener("tcp", "*", 9090, "systemd", "cockpit.socket"),
        ),
        ("udp UNCONN 0 0 [fe80::1]%eth0:546 [::]:*", Listener("udp", "[fe80::1]", 546, "", "")),
    ],
)
def test_a_socket_is_of_a_unit(line: str, expected: Listener) -> None:
    sockets = [
        {"listen": "/run/dbus/system_bus_socket", "unit": "dbus.socket"},
        {"listen": "[::]:9090", "unit": "cockpit.socket"},
    ]
    assert load_listener(line, sockets) == expected
