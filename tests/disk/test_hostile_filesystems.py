# SPDX-License-Identifier: MIT
"""Filesystems that somebody crafted: read with an error in words, and written nowhere else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.disk import walk
from builder.disk.entry import LARGEST, Entry
from builder.disk.region import Region
from builder.disk.unpack import unpack
from builder.errors import VerifyError
from builder.filesystems.ext4.read import read_ext4, read_ext4_file
from builder.filesystems.fat32.read import read_fat, read_fat_file
from builder.units import GIB, MIB

pytestmark = pytest.mark.machine


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tree = tmp_path / "source"
    (tree / "etc/deep").mkdir(parents=True)
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tree / "etc/aaaaaaaa").write_text("first\n")
    (tree / "etc/bbbbbbbb").write_text("second\n")
    (tree / "etc/zzzzzzzz").symlink_to(tmp_path / "victim")
    os.link(tree / "etc/passwd", tree / "hard")
    (tree / "etc/passwd").chmod(0o640)
    os.chown(tree / "etc/deep", 1000, 1001)
    (tmp_path / "victim").write_text("precious")
    return tree


def make_ext4(source: Path, image: Path, *options: str) -> Region:
    """Make an ext4 without checksums, which who crafts one makes fit."""
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum", *options, "-d", str(source), str(image), "16M"]
    subprocess.run(words, check=True)
    return Region(image, 0)


def debug(place: Region, *commands: str) -> None:
    script = "".join(f"{command}\n" for command in commands)
    subprocess.run(["debugfs", "-w", "-f", "-", place.path], input=script.encode(), check=True, capture_output=True)


def change(place: Region, before: bytes, after: bytes) -> None:
    """Change bytes wherever they are."""
    content = place.path.read_bytes()
    assert before in content
    assert len(before) == len(after)
    place.path.write_bytes(content.replace(before, after))


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
    said = craft(place)
    with pytest.raises(VerifyError, match=said) as caught:
        read_ext4(place)
    assert "ext4" in caught.value.message


def leave_a_journal(place: Region) -> None:
    """Another passwd waits in the journal; in its place is still the old one."""
    said = subprocess.run(["debugfs", "-R", "bmap /etc/passwd 0", place.path], check=True, stdout=-1).stdout
    other = place.path.with_name("other")
    other.write_bytes(b"evil::0:0::/root:/bin/sh\n".ljust(4096, b"\n"))
    debug(place, "jo", f"jw -b {int(said)} {other}", "jc")
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


@pytest.mark.parametrize(("limit", "said"), [("MOST_ENTRIES", "more than 4 entries"), ("DEEPEST", "more than 4 direc")])
def test_there_is_an_end_to_it(
    limit: str, said: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "1/2/3/4/5").mkdir(parents=True)
    place = make_ext4(source, tmp_path / "image")
    monkeypatch.setattr(walk, limit, 4)
    with pytest.raises(VerifyError, match=said):
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


# Written


def test_a_tree_is_written_as_it_was(source: Path, tmp_path: Path) -> None:
    (source / "etc/sparse").touch()
    os.truncate(source / "etc/sparse", 3 * MIB)
    os.mkfifo(source / "etc/pipe")
    entries = read_ext4(make_ext4(source, tmp_path / "image"))
    out = tmp_path / "out"
    out.mkdir()
    unpack(entries, out)
    for entry in entries:
        path, status = out / entry.path.lstrip("/"), None
        if entry.kind == "pipe":
            assert not path.exists()
            continue
        status = path.lstat()
        if entry.kind != "symlink":
            assert (status.st_mode & 0o7777, int(status.st_mtime)) == (entry.mode, entry.mtime), entry.path
        assert (status.st_uid, status.st_gid) == (entry.uid, entry.gid)
    assert (out / "etc/passwd").read_text().startswith("root:")
    assert (out / "hard").samefile(out / "etc/passwd")
    assert (out / "etc/zzzzzzzz").readlink() == tmp_path / "victim"
    assert (out / "etc/sparse").stat().st_size == 3 * MIB
    assert (out / "etc/sparse").stat().st_blocks == 0


def lead_out(entries: dict[str, Entry]) -> list[Entry]:
    """A link out, and a file below it, as nothing that reads an image would return it."""
    file = replace(entries["/etc/passwd"], path="/etc/zzzzzzzz/planted", inode=999)
    return [entries["/"], entries["/etc"], entries["/etc/zzzzzzzz"], file]


def write_over_a_link(entries: dict[str, Entry]) -> list[Entry]:
    file = replace(entries["/etc/passwd"], path="/etc/zzzzzzzz", inode=999)
    return [entries["/"], entries["/etc"], entries["/etc/zzzzzzzz"], file]


def be_below_a_file(entries: dict[str, Entry]) -> list[Entry]:
    file = replace(entries["/etc/passwd"], path="/etc/passwd/x", inode=999)
    return [entries["/"], entries["/etc"], entries["/etc/passwd"], file]


def go_up(entries: dict[str, Entry]) -> list[Entry]:
    return [entries["/"], replace(entries["/etc/passwd"], path="/../victim", inode=999)]


@pytest.mark.parametrize("craft", [lead_out, write_over_a_link, be_below_a_file, go_up])
def test_nothing_is_written_outside(
    craft: Callable[[dict[str, Entry]], list[Entry]], source: Path, tmp_path: Path
) -> None:
    entries = {entry.path: entry for entry in read_ext4(make_ext4(source, tmp_path / "image"))}
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(VerifyError, match="of the image"):
        unpack(craft(entries), out)
    assert (tmp_path / "victim").read_text() == "precious"


# FAT


@pytest.fixture
def fat(tmp_path: Path) -> Region:
    image = tmp_path / "fat"
    image.touch()
    os.truncate(image, 40 * MIB)
    mtool("mformat", "-F", "-c", "1", "-i", image, "::")
    mtool("mmd", "-i", image, "::/OVERLAYS", "::/overlays/deep")
    for name, size in (("config.txt", 5000), ("A long name of a file.dtb", 700), ("empty", 0), ("UPPER.TXT", 10)):
        (tmp_path / name).write_bytes(bytes([size % 251]) * size)
        mtool("mcopy", "-i", image, tmp_path / name, "::/")
    return Region(image, 0)


def mtool(*words: str | Path) -> None:
    subprocess.run(words, check=True, env={**os.environ, "MTOOLSRC": "/dev/null", "TZ": "UTC"}, capture_output=True)


def test_a_fat_is_read_as_mtools_would(fat: Region, tmp_path: Path) -> None:
    mtool("mcopy", "-i", fat.path, tmp_path / "UPPER.TXT", "::/overlays/deep/")
    entries = {entry.path: entry for entry in read_fat(fat, "/boot")}
    out = tmp_path / "out"
    out.mkdir()
    mtool("mcopy", "-i", fat.path, "-s", "-m", "::*", out)
    there = {f"/boot/{path.relative_to(out).as_posix()}": path for path in out.rglob("*")}
    assert entries.keys() == {"/boot", *there}
    for path, copy in there.items():
        assert (entries[path].kind == "directory") is copy.is_dir()
        if copy.is_file():
            assert entries[path].read() == copy.read_bytes()
            assert entries[path].mtime == int(copy.stat().st_mtime)
    for name in (path.relative_to(out) for path in out.rglob("*") if path.is_file()):
        assert read_fat_file(fat, f"/{name}".upper(), 3) == (
            (out / name).read_bytes()[:3],
            entries[f"/boot/{name}"].mtime,
        )
    assert read_fat_file(fat, "CONFIG.TXT", 3)
    folder = next(path.relative_to(out) for path in out.rglob("*") if path.is_dir())
    assert [read_fat_file(fat, path, 3) for path in ("none", f"/{folder}", "config.txt/x", "")] == [None] * 4


def find_entry(fat: Region, short: bytes) -> int:
    """Return where the entry of a name of 8 and 3 letters is."""
    return fat.path.read_bytes().index(short)


def write(fat: Region, offset: int, content: bytes) -> None:
    with fat.path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(content)


def lead_a_directory_to_the_root(fat: Region) -> str:
    at = find_entry(fat, b"OVERLAYS   ")
    write(fat, at + 20, b"\0\0")
    write(fat, at + 26, b"\x02\0")
    return "/boot/OVERLAYS is the directory /boot again"


def lead_a_chain_into_itself(fat: Region) -> str:
    reserved = int.from_bytes(fat.path.read_bytes()[14:16], "little") * 512
    write(fat, reserved + 2 * 4, b"\x02\0\0\0")
    return "the directory /boot has no end"


def lead_a_file_out(fat: Region) -> str:
    at = find_entry(fat, b"CONFIG  TXT")
    write(fat, at + 20, b"\xff\x0f")
    return "leads to the cluster"


def say_that_a_file_is_longer(fat: Region) -> str:
    write(fat, find_entry(fat, b"CONFIG  TXT") + 28, b"\xff\xff\xff\xff")
    return r"/boot/config\.txt ends after"


def name_with_a_path(fat: Region) -> str:
    write(fat, find_entry(fat, b"UPPER   TXT"), b"../X/Y  TXT")
    return "has the name '../X/Y.TXT' twice, or it can be none"


def name_a_fat_the_same(fat: Region) -> str:
    write(fat, find_entry(fat, b"UPPER   TXT"), b"CONFIG  TXT")
    return "has the name 'config.txt' twice"


def have_no_clusters(fat: Region) -> str:
    write(fat, 13, b"\0")
    return "its boot sector does not say how it is laid out"


def have_a_table_too_small(fat: Region) -> str:
    write(fat, 32, b"\xff\xff\xff\xff")
    return "its table has no room for"


@pytest.mark.parametrize(
    "craft",
    [
        *(lead_a_directory_to_the_root, lead_a_chain_into_itself, lead_a_file_out, say_that_a_file_is_longer),
        *(name_with_a_path, name_a_fat_the_same, have_no_clusters, have_a_table_too_small),
    ],
    ids=lambda craft: craft.__name__,
)
def test_a_crafted_fat_is_refused(craft: Callable[[Region], str], fat: Region) -> None:
    said = craft(fat)
    with pytest.raises(VerifyError, match=said):
        read_fat(fat, "/boot")
