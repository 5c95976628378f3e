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

from builder.disk import initrd
from builder.disk.initrd import read_initrd
from builder.errors import VerifyError
from builder.units import MIB

pytestmark = pytest.mark.machine


def archive(work: Path, **files: str) -> bytes:
    """Return what cpio, which had no part in the reader, makes of files."""
    work.mkdir(exist_ok=True)
    for name, text in files.items():
        (work / name).write_text(text)
    names = "\n".join(sorted(files)).encode()
    return subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=work, input=names, check=True, stdout=-1).stdout


def xz(data: bytes) -> bytes:
    return lzma.compress(data, check=lzma.CHECK_CRC32)


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, check=True, stdout=-1).stdout


@pytest.mark.parametrize("compress", [bytes, gzip.compress, xz, bz2.compress, zstd])
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
    for part in (data[:3000], zstd(data)[:20], gzip.compress(data)[:50], xz(data)[:50]):
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


@pytest.mark.parametrize("compress", [gzip.compress, xz, bz2.compress, zstd])
def test_a_bomb_is_left(compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initrd, "LARGEST", 3 * MIB)
    for data in (compress(bytes(4 * MIB)), compress(bytes(MIB)) * 4):
        with pytest.raises(VerifyError, match="more than 3145728 bytes unpacked"):
            read_initrd(data)


COMPRESSORS = [gzip.compress, xz, bz2.compress, zstd]


@pytest.mark.parametrize("compress", [bytes, *COMPRESSORS])
@pytest.mark.parametrize("first", COMPRESSORS)
def test_what_comes_behind_a_compressed_part_counts_too(
    first: Callable[[bytes], bytes], compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    good, other = archive(tmp_path / "a", init="good", busybox="b"), archive(tmp_path / "b", init="other")
    padding = bytes(-len(first(good)) % 4 + 8)
    for between in (padding, b"") if compress is not bytes else (padding,):
        members = read_initrd(first(good) + between + compress(other))
        assert members["init"].content == b"other"
        assert members["busybox"].content == b"b"


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_what_linux_stops_at_is_refused(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """It keeps what comes before, and leaves what comes after."""
    data = archive(tmp_path / "a", init="x")
    for rest in (b"junk", data[:6] + b"zz", compress(compress(data)), compress(b"junk"), compress(data[:200])):
        with pytest.raises(VerifyError, match="initrd"):
            read_initrd(compress(data) + bytes(-len(compress(data)) % 4) + rest)
    with pytest.raises(VerifyError, match="begins at no multiple of 4"):
        read_initrd(compress(data) + bytes(-len(compress(data)) % 4 + 1) + data)


def test_a_part_that_only_others_can_unpack_is_refused(tmp_path: Path) -> None:
    data = archive(tmp_path / "a", init="x")
    with pytest.raises(VerifyError, match=r"an xz with the check 4; allowed: 1"):
        read_initrd(lzma.compress(data))
    packed = gzip.compress(data)
    extra = packed[:3] + b"\x04" + packed[4:10] + b"\x04\0abcd" + packed[10:]
    assert gzip.decompress(extra) == data
    with pytest.raises(VerifyError, match="a gzip with the flags 0x04"):
        read_initrd(extra)
    named = packed[:3] + b"\x08" + packed[4:10] + b"initrd\0" + packed[10:]
    assert list(read_initrd(named)) == ["init"]


@pytest.mark.parametrize("options", [["-1"], ["--no-check"], ["-19", "--long"], ["--content-size"]])
def test_the_end_of_a_frame_of_zstd_is_found(options: list[str], tmp_path: Path) -> None:
    data = archive(tmp_path / "a", init="x" * 300_000, noise=os.urandom(200_000).hex())
    for words in (options, [*options, f"--stream-size={len(data)}"]):
        packed = subprocess.run(["zstd", "-q", "-c", *words], input=data, check=True, stdout=-1).stdout
        members = read_initrd(packed + zstd(archive(tmp_path / "b", late="y")))
        assert set(members) == {"init", "noise", "late"}


def change_header(data: bytes, field: int, value: int) -> bytes:
    at = 6 + 8 * field
    return data[:at] + f"{value:08x}".encode() + data[at + 8 :]


def test_a_name_that_linux_reads_in_another_way_is_refused(tmp_path: Path) -> None:
    data = archive(tmp_path / "a", initxxxx="x")
    for other in (data.replace(b"initxxxx", b"init\0xxx"), data.replace(b"initxxxx\0", b"initxxxxx")):
        with pytest.raises(VerifyError, match="the name at byte 110 has a zero within, or none at its end"):
            read_initrd(other)
    with pytest.raises(VerifyError, match=r"allowed: one without \.\."):
        read_initrd(data.replace(b"initxxxx", b"x/../ini"))
    assert list(read_initrd(data.replace(b"initxxxx", b"././/ini"))) == ["ini"]
    with pytest.raises(VerifyError, match="the name at byte 110 has 0 bytes"):
        read_initrd(change_header(data, 11, 0))
    with pytest.raises(VerifyError, match="'initxxxx' has content and can have none"):
        read_initrd(change_header(data, 1, 0o40755))


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
