# SPDX-License-Identifier: MIT
"""Which files, links and words of the kernel decide who gets in."""

from __future__ import annotations

import pytest

from builder.plan.access import KERNEL_WORDS, is_link_in, is_way_in, lets_in, may_lead_in
from tests.chain.ways_in import WAYS, WORDS


@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_is_one(way: str) -> None:
    path, content = WAYS[way]
    if content.startswith("-> "):
        assert is_link_in(path, content.removeprefix("-> "))
    else:
        assert is_way_in(path, content.encode)


@pytest.mark.parametrize("word", WORDS)
def test_each_word_lets_somebody_in(word: str) -> None:
    assert KERNEL_WORDS.fullmatch(word)


@pytest.mark.parametrize(
    "word", ["rootwait", "root=PARTUUID=1-02", "console=tty1", "net.ifnames=0", "ro", "quiet", "systemd.show_status=0"]
)
def test_a_word_that_lets_nobody_in_is_none(word: str) -> None:
    assert not KERNEL_WORDS.fullmatch(word)


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
    ],
)
def test_a_seed_is_looked_into(seed: bytes, expected: bool) -> None:
    assert lets_in(seed) is expected


def test_meta_data_needs_no_first_line() -> None:
    assert not lets_in(b"instance-id: x\n", is_meta=True)


@pytest.mark.parametrize(
    ("path", "leads_to", "expected"),
    [
        ("/etc/systemd/system/x.service", "/srv/x.service", True),
        ("/etc/systemd/system/x.service", "/usr/lib/systemd/system/x.service", False),
        ("/etc/tmpfiles.d/x.conf", "/srv/x", True),
        ("/srv/x", "/srv/y", False),
    ],
)
def test_a_link_out_of_the_places_may_bring_one(path: str, leads_to: str, expected: bool) -> None:
    assert may_lead_in(path, leads_to) is expected
