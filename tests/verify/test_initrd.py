# SPDX-License-Identifier: MIT
"""Initrds, as the kernel takes them: archives one after another, plain or compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import VerifyError
from builder.units import MIB
from builder.verify import initrd
from builder.verify.initrd import read_initrd

pytestmark = pytest.mark.machine


def archive(work: Path, **files: str) -> bytes:
    """Return what cpio, which had no part in the reader, makes of files."""
    work.mkdir(exist_ok=True)
    for name, text in files.items():
        (work / name).write_text(text)
    names = "\n".join(sorted(files)).encode()
    return subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=work, input=names, check=True, stdout=-1).stdout


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, check=True, stdout=-1).stdout


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, bz2.compress, zstd])
def test_a_plain_archive_may_come_before_a_compressed_one(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    early = archive(tmp_path / "early", microcode="m" * 1001)
    main = archive(tmp_path / "main", init="#!/bin/sh\n", busybox="b")
    members = read_initrd(early + bytes(512) + compress(main))
    assert {path: member.content for path, member in members.items()} == {
        "microcode": b"m" * 1001,
        "init": b"#!/bin/sh\n",
        "busybox": b"b",
    }


def test_a_device_is_read_without_root(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    data = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tmp_path, input=b"pipe", check=True, stdout=-1)
    assert read_initrd(data.stdout)["pipe"].mode & 0o170000 == 0o010000


def test_what_is_cut_short_is_damaged(tmp_path: Path) -> None:
    data = archive(tmp_path / "a", init="x" * 5000)
    for part in (data[:3000], zstd(data)[:20], gzip.compress(data)[:50], lzma.compress(data)[:50]):
        with pytest.raises(VerifyError, match="damaged"):
            read_initrd(part)


def test_what_stands_between_members_is_damaged(tmp_path: Path) -> None:
    data = bytearray(archive(tmp_path / "a", one="1" * 40, two="2"))
    second = data.rindex(b"070701", 0, data.rindex(b"070701"))
    data[second : second + 6] = b"070799"
    with pytest.raises(VerifyError, match=f"no cpio header at byte {second}"):
        read_initrd(bytes(data))


def test_an_unknown_compression_is_named() -> None:
    with pytest.raises(VerifyError, match="goes on with 0221"):
        read_initrd(b"\x02\x21\x4c\x18 lz4")


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress, zstd])
def test_a_bomb_is_left(compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initrd, "LARGEST", 3 * MIB)
    for data in (compress(bytes(4 * MIB)), compress(bytes(MIB)) * 4):
        with pytest.raises(VerifyError, match="more than 3145728 bytes unpacked"):
            read_initrd(data)


def test_an_archive_in_an_archive_has_an_end(tmp_path: Path) -> None:
    data = archive(tmp_path / "a", one="1")
    for _ in range(initrd.MOST_LAYERS):
        data = gzip.compress(data)
    assert list(read_initrd(data)) == ["one"]
    with pytest.raises(VerifyError, match="compressed more than 3 times"):
        read_initrd(gzip.compress(data))


def test_there_is_an_end_to_the_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initrd, "MOST_MEMBERS", 2)
    with pytest.raises(VerifyError, match="more than 2 members"):
        read_initrd(archive(tmp_path / "a", one="1", two="2", three="3"))


def test_a_header_that_is_no_number_is_damaged(tmp_path: Path) -> None:
    data = bytearray(archive(tmp_path / "a", one="1"))
    data[6 + 8 * 6 : 6 + 8 * 7] = b"+1_0\x1b[2J"
    with pytest.raises(VerifyError, match=r"the cpio header at byte 0 holds"):
        read_initrd(bytes(data))


def test_zeros_are_gone_over_at_once() -> None:
    begun = time.monotonic()
    assert read_initrd(bytes(64 * MIB)) == {}
    assert time.monotonic() - begun < 5
