# SPDX-License-Identifier: MIT
"""Ext4 filesystems that are damaged on purpose: refused, and read no further than allowed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.disk import walk
from builder.disk.entry import LARGEST
from builder.disk.region import Region
from builder.errors import VerifyError
from builder.filesystems.ext4.read import read_ext4, read_ext4_file
from builder.units import GIB
from tests.support.filesystems import change, debug, make_ext4

pytestmark = pytest.mark.machine


def link_root_into_itself(place: Region) -> str:
    debug(place, "ln / /etc/loop")
    return "/etc/loop is the directory / again"


def link_a_directory_twice(place: Region) -> str:
    debug(place, "ln /etc/deep /again")
    return "is the directory /(again|etc/deep) again"


def name_two_the_same(place: Region) -> str:
    change(place, b"aaaaaaaa", b"zzzzzzzz")
    return "/etc has the name 'zzzzzzzz' twice"


def name_with_a_slash(place: Region) -> str:
    change(place, b"aaaaaaaa", b"../../xy")
    return r"/etc has the name '../../xy' twice, or it can be none"


def name_with_a_zero(place: Region) -> str:
    change(place, b"aaaaaaaa", b"aaaa\0aaa")
    return r"/etc has the name 'aaaa\\x00aaa' twice, or it can be none"


def lead_extents_out(place: Region) -> str:
    debug(place, "sif /etc/passwd block[5] 0xffffff00")
    return "overlap, or are not in it"


def lead_to_no_inode(place: Region) -> str:
    debug(place, "link <4095> /etc/none", "link <99999999> /etc/more")
    return "there is no inode 99999999|is of no kind"


def have_an_inode_of_no_kind(place: Region) -> str:
    debug(place, "sif /etc/passwd mode 0x3000")
    return "is of no kind"


def have_a_huge_directory(place: Region) -> str:
    debug(place, "sif /etc size 1099511627776")
    return "the directory /etc has 1099511627776 bytes"


def have_a_link_of_a_gigabyte(place: Region) -> str:
    debug(place, f"sif /etc/zzzzzzzz size {GIB}")
    return "the link [0-9]+ has 1073741824 bytes"


def have_a_link_of_nothing(place: Region) -> str:
    debug(place, "sif /etc/zzzzzzzz size 0")
    return "the link [0-9]+ has 0 bytes"


def have_a_link_that_ends_early(place: Region) -> str:
    change(place, b"/victim", b"/vic\0im")
    return "the link [0-9]+ has a zero within"


def have_odd_sizes(place: Region) -> str:
    with place.path.open("r+b") as stream:
        stream.seek(1024 + 24)
        stream.write(b"\xff\xff\xff\xff")
    return "blocks of .* cannot be"


def have_no_groups(place: Region) -> str:
    with place.path.open("r+b") as stream:
        stream.seek(1024 + 40)
        stream.write(bytes(4))
    return "has no sizes of groups"


def have_strange_features(place: Region) -> str:
    with place.path.open("r+b") as stream:
        stream.seek(1024 + 96)
        stream.write(b"\xff\xff\xff\xff")
    return "has features that are not read here"


def end_early(place: Region) -> str:
    os.truncate(place.path, 64 * 1024)
    return "are not in it"


CRAFTED: list[Callable[[Region], str]] = [
    *(link_root_into_itself, link_a_directory_twice, name_two_the_same, name_with_a_slash, name_with_a_zero),
    *(lead_extents_out, lead_to_no_inode, have_an_inode_of_no_kind, have_a_huge_directory, have_a_link_of_a_gigabyte),
    *(have_a_link_of_nothing, have_a_link_that_ends_early),
    *(have_odd_sizes, have_no_groups, have_strange_features, end_early),
]


@pytest.mark.parametrize("craft", CRAFTED, ids=lambda craft: craft.__name__)
def test_a_crafted_ext4_is_refused(craft: Callable[[Region], str], source: Path, tmp_path: Path) -> None:
    place = make_ext4(source, tmp_path / "image")
    message = craft(place)
    with pytest.raises(VerifyError, match=message) as caught:
        read_ext4(place)
    assert "ext4" in caught.value.message


def leave_a_journal(place: Region) -> None:
    """Another passwd waits in the journal; in its place is still the old one."""
    block = subprocess.run(["debugfs", "-R", "bmap /etc/passwd 0", place.path], check=True, stdout=-1).stdout
    other = place.path.with_name("other")
    other.write_bytes(b"evil::0:0::/root:/bin/sh\n".ljust(4096, b"\n"))
    debug(place, "jo", f"jw -b {int(block)} {other}", "jc")
    assert place.path.read_bytes()[1024 + 96] & 0x4
    assert subprocess.run(["e2fsck", "-f", "-n", place.path], stdout=-1, stderr=-1, check=False).returncode == 0


def leave_a_deleted_file(place: Region) -> None:
    debug(place, "ssv last_orphan 12")


def leave_a_list_of_deleted_files(place: Region) -> None:
    with place.path.open("r+b") as stream:
        stream.seek(1024 + 0x64)
        features = int.from_bytes(stream.read(4), "little")
        stream.seek(1024 + 0x64)
        stream.write((features | 0x10000).to_bytes(4, "little"))


@pytest.mark.parametrize(
    "leave", [leave_a_journal, leave_a_deleted_file, leave_a_list_of_deleted_files], ids=lambda leave: leave.__name__
)
def test_an_ext4_that_the_next_mount_changes_is_refused(
    leave: Callable[[Region], None], source: Path, tmp_path: Path
) -> None:
    place = make_ext4(source, tmp_path / "image", "-b", "4096")
    assert read_ext4(place)
    leave(place)
    for read in (read_ext4, lambda place: read_ext4_file(place, "/etc/passwd", 100)):
        with pytest.raises(VerifyError, match="the ext4 was not unmounted") as caught:
            read(place)
        assert "e2fsck -p" in caught.value.hint


def test_a_name_may_have_a_line_break_and_is_one_name(source: Path, tmp_path: Path) -> None:
    place = make_ext4(source, tmp_path / "image")
    change(place, b"aaaaaaaa", b"a\n/12/xy")
    with pytest.raises(VerifyError):
        read_ext4(place)
    change(place, b"a\n/12/xy", b"a\n_12_xy")
    assert [entry.path for entry in read_ext4(place) if "\n" in entry.path] == ["/etc/a\n_12_xy"]


@pytest.mark.parametrize(
    ("limit", "message"), [("MOST_ENTRIES", "more than 4 entries"), ("DEEPEST", "more than 4 direc")]
)
def test_there_is_an_end_to_it(
    limit: str, message: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "1/2/3/4/5").mkdir(parents=True)
    place = make_ext4(source, tmp_path / "image")
    monkeypatch.setattr(walk, limit, 4)
    with pytest.raises(VerifyError, match=message):
        read_ext4(place)


def test_a_file_of_terabytes_is_listed_and_not_read(source: Path, tmp_path: Path) -> None:
    place = make_ext4(source, tmp_path / "image")
    debug(place, "sif /etc/passwd size 12884901888")
    entry = next(entry for entry in read_ext4(place) if entry.path == "/etc/passwd")
    with pytest.raises(VerifyError, match=rf"/etc/passwd has 12884901888 bytes; at most {LARGEST} are read"):
        entry.read()
    assert entry.read(4) == b"root"
    found = read_ext4_file(place, "/etc/passwd", 4)
    assert found
    assert found[0] == b"root"
    assert read_ext4_file(place, "/etc/none", 4) is read_ext4_file(place, "/etc/passwd/x", 4) is None
