# SPDX-License-Identifier: MIT
"""Ranges of a disk: how tools are told of them, what a FAT's boot sector says, where blobs are written."""

from __future__ import annotations

import ast
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from builder.disk.blobs import SIGNATURE, find_wrong_bytes, written_ranges
from builder.disk.region import MTOOLS, Region
from builder.filesystems.fat32.boot_sector import read_boot_sector, read_free_bytes
from builder.filesystems.fat32.read import is_fat32
from builder.plan.model import BlobPlan
from builder.units import MIB
from tests.conftest import ROOT

BLOB = BlobPlan("spl", "file", "x", None, 0, 4096, holes=((442, 512),))


def test_tools_are_told_where_a_filesystem_begins() -> None:
    region = Region(Path("/x.img"), MIB)
    assert (region.for_mtools, region.for_e2fsprogs) == ("/x.img@@1048576", "/x.img?offset=1048576")
    device = replace(region, path=Path("/dev/loop0"), offset_bytes=0)
    assert device.for_mtools == device.for_e2fsprogs == "/dev/loop0"


def test_what_lies_after_the_end_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert Region(tmp_path / "x", 1).read(0, 9) == b"bc"
    assert Region(tmp_path / "x", 2**62).read(2**61, 9) == b""
    assert read_boot_sector(Region(tmp_path / "x", 0)).clusters == 0


@pytest.mark.machine
def test_a_boot_sector_is_what_mformat_wrote(tmp_path: Path) -> None:
    path = tmp_path / "x.img"
    path.touch()
    os.truncate(path, 40 * MIB)
    region = Region(path, MIB)
    words = ["mformat", "-i", region.for_mtools, "-F", "-c", "1", "-T", "77824", "-N", "1234abcd", "-v", "BOOT", "::"]
    subprocess.run(words, check=True, env={**os.environ, **MTOOLS})
    boot = read_boot_sector(region)
    assert is_fat32(region)
    assert (boot.sector_bytes, boot.cluster_bytes, boot.sectors, boot.tables) == (512, 512, 77824, 2)
    assert (boot.volume_id, boot.label, boot.root) == ("1234abcd", "BOOT", 2)
    assert boot.clusters == 77824 - boot.data_sector > 65525
    assert read_free_bytes(region, boot) == (boot.clusters - 1) * 512, "the root directory has one"


def test_a_blob_is_written_around_its_holes_and_the_signature() -> None:
    assert list(written_ranges(BLOB, 4096)) == [(0, 442), (512, 4096)]
    assert list(written_ranges(BLOB, 100)) == [(0, 100)]
    assert find_wrong_bytes(BLOB, 0, b"\1" * 442, b"\1" * 442) == []
    assert find_wrong_bytes(BLOB, 0, b"\1" * 442, b"\1" * 440 + b"\2\2") == [], "the two are of the signature"
    assert find_wrong_bytes(BLOB, 430, b"\1" * 12, b"\2" * 12) == list(range(430, SIGNATURE.start))
    assert find_wrong_bytes(BLOB, 512, b"\1\1", b"") == [512, 513], "the disk ends before"


def test_the_way_to_name_a_range_is_written_once() -> None:
    texts = {
        path.relative_to(ROOT / "builder").as_posix(): [
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        for path in (ROOT / "builder").rglob("*.py")
    }
    for mark in ("@@", "?offset=", "MTOOLSRC"):
        assert [path for path, values in texts.items() if any(value == mark for value in values)] == ["disk/region.py"]
