# SPDX-License-Identifier: MIT
"""Which files, links and words of the kernel decide who gets in."""

from __future__ import annotations

import time

import pytest

from builder.boot_methods.table import planned_words
from builder.plan.access import is_held, is_link_held, is_link_in, is_way_in, leads_in, lets_in
from builder.plan.kernel_words import find_ways_in, split_words
from builder.recipe.load import list_boards, load_board
from builder.system.paths import merge_into_usr
from builder.verify.facts.ways import OWN_PROGRAMS
from tests.chain.test_users_boards import PAGE_BOARDS
from tests.conftest import ROOT
from tests.support.qemu_images import plan_of
from tests.support.ways_in import WAYS
from tests.support.ways_in.honest import HONEST
from tests.support.ways_in.texts import AUTOLOGIN
from tests.support.ways_in.words import WORDS


@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_is_one(way: str) -> None:
    path, content = WAYS[way]
    # What hides a program of a package is found by the programs that an image has.
    hides = any(pattern.fullmatch(path) for pattern, _ in OWN_PROGRAMS)
    if content.startswith("-> "):
        assert is_link_in(path, content.removeprefix("-> ")) or is_link_held(path) or hides
    else:
        assert is_way_in(path, content.encode) or is_held(path) or hides


@pytest.mark.parametrize(("path", "content"), HONEST)
def test_what_a_board_has_for_other_ends_is_none(path: str, content: str) -> None:
    if content.startswith("-> "):
        found = is_link_in(path, content.removeprefix("-> ")) or is_link_held(path)
    else:
        # A directory of the board's own is known by what packages an image has.
        own = path.startswith(("/etc/harbour/", "/usr/share/harbour/"))
        found = is_way_in(path, content.encode) or (is_held(path) and not own)
    assert not found


@pytest.mark.parametrize("word", WORDS)
def test_each_word_lets_somebody_in(word: str) -> None:
    assert find_ways_in([word]) == [word]


@pytest.mark.parametrize(
    "word",
    [
        *("rootwait", "root=PARTUUID=1-02", "console=tty1", "net.ifnames=0", "ro", "quiet", "init_on_alloc=1"),
        *("systemd.show_status=0", "systemd.show-status", "systemd.log_level=debug", "rd.systemd.log-level=info"),
        *("systemd.firstboot=no", "systemd.ssh_auto=0", "systemd.machine_id=0123456789abcdef0123456789abcdef"),
        *("sysctl.kernel.panic=10", "sysctl.net.ipv4.ip_forward=1", "cgroup_enable=memory", "cloud-init=enabled"),
        *("modprobe.blacklist=vchiq", "usb-storage.quirks=1:2:u", "panic=10", "apparmor=1", "video=HDMI-A-1:1280x720"),
        *("8250.nr_uarts=1", "cma=64M", "bcm2708_fb.fbwidth=656", "smsc95xx.macaddr=B8:27:EB:00:00:01", "swiotlb=1"),
    ],
)
def test_a_word_that_lets_nobody_in_is_none(word: str) -> None:
    assert find_ways_in([word]) == []


def test_what_follows_two_hyphens_is_of_pid_1() -> None:
    assert find_ways_in(["quiet", "--", "quiet", "x=y"]) == ["--", "quiet", "x=y"]


@pytest.mark.parametrize("board", [path.parent.name for path in sorted((ROOT / "boards").glob("[a-z]*/board.yaml"))])
def test_no_board_asks_for_a_word_that_lets_somebody_in(board: str) -> None:
    plan = plan_of(board)
    assert find_ways_in(split_words(plan.kernel_cmdline)) == []
    assert set(split_words(plan.kernel_cmdline)) <= planned_words(plan)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        (" a  b=c\td\n", ["a", "b=c", "d"]),
        ('"init=/bin/sh" x', ["init=/bin/sh", "x"]),
        ('init="/bin/sh" x', ["init=/bin/sh", "x"]),
        ('a="b c" d', ["a=b c", "d"]),
        ('"a b" "c', ["a b", "c"]),
        ('a"b c"d e', ['a"b c"d', "e"]),
        ('a="b" "" =x', ["a=b", "", "=x"]),
        ("a\u2003b a\x1fb", ["a\u2003b", "a\x1fb"]),
        ("'a b'", ["'a", "b'"]),
    ],
)
def test_a_line_falls_into_words_as_the_kernel_takes_it(line: str, words: list[str]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", ['"' * 200_000, "a" * 200_000, 'a="' * 70_000, " " * 200_000, '=" ' * 70_000])
def test_a_long_line_is_taken_apart_in_no_time(line: str) -> None:
    start = time.monotonic()
    find_ways_in(split_words(line))
    assert time.monotonic() - start < 2


def test_rules_of_many_empty_lines_are_looked_at_in_no_time() -> None:
    start = time.monotonic()
    assert not is_way_in("/etc/tmpfiles.d/x.conf", lambda: b"\n" * 1_000_000 + b"x")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (b"", False),
        (b"#cloud-config\n", False),
        (b"#cloud-config \r\nhostname: x\r\n", False),
        (b"#cloud-config\nwrite_files: []\n", True),
        (b"#cloud-config\nx: &x\n  y: *x\n", True),
        (b"#cloud-config\na: [{b: {c: [{Passwd: 1}, {passwd: 1}]}}]\n", True),
        (b"## template: jinja\n#cloud-config\nhostname: x\n", True),
        (b"\x1f\x8b\x08\x00", True),
        (b"\xff\xfe#\0c\0", True),
        (b"#cloud-config\nhostname: " + b"x" * (1 << 20), True),
        (b"#cloud-config\n" + b"[" * 5000, True),
        (b"#cloud-config\nx: 2026-13-45 99:99:99\n", True),
        (b"#cloud-config\nhostname: !!int ''\n", True),
        (b"#cloud-config\nfinal_message: 1e99999\n", False),
    ],
)
def test_a_seed_is_looked_into(seed: bytes, expected: bool) -> None:
    assert lets_in(seed) is expected


def test_meta_data_needs_no_first_line() -> None:
    assert not lets_in(b"instance-id: x\nlocal-hostname: x\n", is_meta=True)
    assert not lets_in(b"instance-id: ''\n", is_meta=True)
    assert lets_in(b"hostname: x\n")


@pytest.mark.parametrize(
    "content",
    [
        "hostname: harbour\nfqdn: harbour.example.org\npreserve_hostname: false\nmanage_etc_hosts: localhost",
        "locale: en_GB.UTF-8\ntimezone: America/Argentina/Buenos_Aires\nkeyboard: {layout: de, variant: nodeadkeys}",
        "package_update: true\npackage-upgrade: false\npackages: [vim, g++, [less, 590-2], nginx=1.26.3-3]",
        "ntp: {enabled: true, servers: [ntp.example.org, 192.0.2.1, '2001:db8::1']}",
        "apt: {http_proxy: 'http://proxy.example.org:3142/', preserve_sources_list: true}",
        "swap: {filename: /swapfile, size: 1G}\ngrowpart: {mode: auto, devices: [/]}\nresize_rootfs: noblock",
        "power_state: {mode: reboot, delay: +5, condition: true}\nssh_pwauth: false\ndisable_root: true",
        "final_message: The harbour is open after $uptime seconds",
        "hostname:",
    ],
)
def test_a_seed_may_say_what_lets_nobody_in(content: str) -> None:
    assert not lets_in(f"#cloud-config\n{content}\n".encode())


@pytest.mark.parametrize(
    ("path", "leads_to", "expected"),
    [
        ("/etc/systemd/system/x.service", "/srv/x.service", True),
        ("/etc/systemd/system/x.service", "/usr/lib/systemd/system/x.service", False),
        ("/etc/systemd/system/ssh.service.d/x.conf", "/etc/systemd/system/x.service", True),
        ("/etc/systemd/system/multi-user.target.wants/x.service", "/usr/lib/systemd/system/x.service", False),
        ("/etc/profile.d/x.sh", "/usr/lib/systemd/profile.d/x.sh", True),
        ("/etc/tmpfiles.d/x.conf", "/srv/x", True),
        ("/srv/x", "/srv/y", False),
        ("/srv/x", "/etc/systemd/system/x.service", False),
    ],
)
def test_a_link_out_of_the_places_may_bring_one(path: str, leads_to: str, expected: bool) -> None:
    assert leads_in(path, leads_to, AUTOLOGIN.encode) is expected


@pytest.mark.parametrize(
    "path",
    ["/etc/rc2.d/S01x", "/etc/systemd/system/x.target.wants/y.service", "/etc/systemd/user/x.d/y.requires/z.path"],
)
def test_a_file_where_all_others_are_links_is_one(path: str) -> None:
    assert is_way_in(path, lambda: b"")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/systemd/system/x.service", "[Service]\n" + "Credential" * 20_000),
        ("/etc/systemd/system/x.mount", "\n" * 200_000),
        ("/etc/systemd/system/x.service", "[Service]\nEnvironment=" + "A=b " * 50_000),
        ("/etc/systemd/system-preset/x.preset", f"enable {'*a' * 100_000}\n"),
        ("/etc/sysctl.d/x.conf", "* " * 100_000),
        ("/etc/udev/rules.d/x.rules", 'ENV{x}="1", ' * 20_000),
        ("/etc/apt/apt.conf.d/x", "/* " * 60_000),
        ("/etc/default/x", "LD_" * 60_000),
        ("/etc/logrotate.d/x", "/srv/aa" * 40 + "!"),
        ("/etc/logrotate.d/x", "/srv/a.log " * 20_000 + "!"),
        ("/etc/logrotate.d/x", "/srv/" + "logs/" * 40_000 + "!"),
        ("/etc/environment", "PATH=" + "/a:" * 60_000 + "!"),
        ("/etc/profile.d/x.sh", "alias a='ls" + " -a" * 60_000 + "!'"),
        ("/etc/sysctl.d/x.conf", "kernel.core_pattern=/srv/" + "a/" * 60_000 + "!"),
        ("/etc/udev/rules.d/x.rules", 'KERNEL=="' + "gpio|" * 30_000 + '", MODE="0666"\n'),
        ("/etc/systemd/system/x.service", "[Service]\nExecStart=/usr/bin/docker compose" + " -p a" * 40_000 + "!\n"),
        ("/etc/systemd/system/x.service", "[Service]\nStandardOutput=append:/srv/" + "a/" * 60_000 + "!\n"),
        ("/etc/samba/smb.conf", "path " * 60_000 + "\n"),
    ],
)
def test_a_long_file_is_judged_in_no_time(path: str, text: str) -> None:
    start = time.process_time()
    is_way_in(path, text.encode)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("name", list_boards(ROOT / "boards"))
def test_boards_name_their_own_ways_in(name: str) -> None:
    board = load_board(ROOT / "boards", name)
    files = {f"/{path.relative_to(tree)}": path for tree in board.files for path in tree.rglob("*") if path.is_file()}
    found = {place for place, path in files.items() if is_way_in(merge_into_usr(place), path.read_bytes)}
    assert found == board.recipe.expect.access.keys()


def test_boards_of_users_name_their_own_ways_in() -> None:
    found = {
        f"{board}: {path.removeprefix('files')}"
        for board, files in PAGE_BOARDS.items()
        for path, text in files.items()
        if path.startswith("files/") and is_way_in(path.removeprefix("files"), text.encode)
    }
    assert found == {"kiosk: /etc/systemd/system/kiosk.service"}
