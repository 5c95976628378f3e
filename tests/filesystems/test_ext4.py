# SPDX-License-Identifier: MIT
"""An ext4 is read as its files were, without mounting it."""

from __future__ import annotations

import gc
import os
import subprocess
from pathlib import Path

import pytest

from builder.disk.filetree import FileTree
from builder.disk.region import Region
from builder.errors import VerifyError
from builder.filesystems.ext4.read import is_ext4, read_ext4
from builder.filesystems.table import read_facts
from builder.units import MIB

pytestmark = pytest.mark.machine
OFFSET = MIB


@pytest.fixture(scope="module", params=["ext4", "ext2"])
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FileTree:
    return FileTree(read_ext4(make(tmp_path_factory.mktemp("ext"), request.param)))


def make(work: Path, kind: str) -> Region:
    source = work / "source"
    (source / "etc/deep/er").mkdir(parents=True)
    (source / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nanne:x:1000:1000::/home/anne:/bin/sh\n")
    (source / "etc/group").write_text("root:x:0:\nanne:x:1000:\n")
    (source / "etc/a name with spaces").write_text("spaces\n")
    (source / "etc/deep/er/large").write_bytes(bytes(range(256)) * 8192)
    with (source / "sparse").open("wb") as stream:
        stream.write(b"a" * 5000)
        stream.seek(3 * MIB)
        stream.write(b"z")
    (source / "empty").touch()
    (source / "absolute").symlink_to("/etc/passwd")
    (source / "long").symlink_to("etc/" + "./" * 60 + "passwd")
    (source / "nowhere").symlink_to("/missing")
    for name in ("one", "two"):
        (source / name).symlink_to("two" if name == "one" else "one")
    os.link(source / "etc/passwd", source / "hard")
    os.mkfifo(source / "pipe")
    os.mknod(source / "null", 0o20666, os.makedev(1, 3))
    os.chown(source / "etc/a name with spaces", 1000, 1000)
    (source / "empty").chmod(0o4711)
    os.setxattr(source / "sparse", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    os.utime(source / "sparse", (10**9, 10**9))
    image = work / "disk.img"
    with image.open("wb") as stream:
        stream.truncate(OFFSET + 24 * MIB)
    options = ["-q", "-F", "-t", kind, "-L", "root", "-E", f"offset={OFFSET}"]
    subprocess.run(["mke2fs", *options, "-d", source, image, "24M"], check=True)
    return Region(image, OFFSET)


def test_content_is_read_where_it_lies(tree: FileTree) -> None:
    assert tree.file("/etc/deep/er/large").content == bytes(range(256)) * 8192
    assert tree.file("/sparse").content == b"a" * 5000 + bytes(3 * MIB - 5000) + b"z"
    assert tree.file("/empty").content == b""
    assert tree.file("/etc/a name with spaces").content_string == "spaces\n"


def test_links_are_followed_as_the_system_would(tree: FileTree) -> None:
    assert tree.file("/absolute").content == tree.file("/etc/passwd").content
    assert tree.file("/long").content == tree.file("/etc/passwd").content
    assert tree.file("/etc/deep/../passwd").is_file
    assert tree.file("/absolute").is_symlink
    assert tree.file("/absolute").target == "/etc/passwd"
    assert not tree.file("/nowhere").exists


def test_a_circle_of_links_leads_nowhere(tree: FileTree) -> None:
    assert not tree.file("/one").exists
    assert tree.is_circle("/one")
    assert not tree.is_circle("/absolute")


def test_kinds_owners_modes_and_times_are_kept(tree: FileTree) -> None:
    assert tree.file("/etc/a name with spaces").user == "anne"
    assert tree.file("/etc/a name with spaces").group == "anne"
    assert tree.file("/empty").mode == 0o4711
    assert tree.file("/sparse").mtime == 10**9
    assert {path: entry.kind for path, entry in tree.entries.items() if path in ("/pipe", "/null", "/etc")} == {
        "/pipe": "pipe",
        "/null": "device",
        "/etc": "directory",
    }


def test_hard_links_are_one_inode(tree: FileTree) -> None:
    hard, passwd = tree.find("/hard"), tree.find("/etc/passwd")
    assert hard
    assert passwd
    assert hard.inode == passwd.inode


def test_capabilities_are_found(tree: FileTree) -> None:
    entry = tree.find("/sparse")
    assert entry
    assert entry.xattrs["security.capability"][:4] == b"\x01\x00\x00\x02"


def test_nothing_is_overlooked(tree: FileTree) -> None:
    names = [
        "etc",
        "sparse",
        "empty",
        "absolute",
        "long",
        "nowhere",
        "one",
        "two",
        "hard",
        "pipe",
        "null",
        "lost+found",
    ]
    assert {path for path in tree.entries if path.count("/") == 1} == {"/", *(f"/{name}" for name in names)}
    assert [entry.path for entry in tree.glob("/etc/*")] == [
        entry.path for entry in tree.below("/etc") if entry.path.count("/") == 2
    ]


def test_what_is_not_there_fails_by_its_name(tree: FileTree) -> None:
    with pytest.raises(AssertionError, match="there is no /missing"):
        _ = tree.file("/missing").mode


def test_a_filesystem_says_what_it_is(tmp_path: Path) -> None:
    facts = read_facts(make(tmp_path, "ext4"))
    assert (facts.kind, facts.label, facts.size_bytes) == ("ext4", "root", 24 * MIB)


def test_zeros_are_no_filesystem(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(2 * MIB))
    assert not is_ext4(Region(tmp_path / "zeros", 0))
    assert read_facts(Region(tmp_path / "zeros", 0)).kind == "unknown"
    with pytest.raises(VerifyError, match="it has no superblock"):
        read_ext4(Region(tmp_path / "zeros", 0))


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_an_image_that_is_gone_leaves_nothing_to_close(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_ext4(Region(tmp_path / "gone.img", 0))
    gc.collect()
