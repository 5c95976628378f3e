# SPDX-License-Identifier: MIT
"""Files of an ext4 written to a directory: as they were, and never outside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.disk.entry import Entry
from builder.disk.unpack import unpack
from builder.errors import VerifyError
from builder.filesystems.ext4.read import read_ext4
from builder.units import MIB
from tests.support.filesystems import make_ext4

pytestmark = pytest.mark.machine


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
