# SPDX-License-Identifier: MIT
"""Directories of a FAT: each name finds one file, the one that Linux and boot loaders find, or none is read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.disk.entry import Entry
from builder.disk.filetree import FileTree
from builder.disk.mounts import Mounts
from builder.errors import VerifyError
from builder.filesystems.fat32.directory import Short, read_entries

LABEL = b"BOOT       " + b"\x08" + bytes(20)
DELETED = b"\xe5" + b"LD     TXT" + b"\x20" + bytes(20)


def checksum(short: bytes) -> int:
    total = 0
    for letter in short:
        total = (((total & 1) << 7) | (total >> 1)) + letter & 0xFF
    return total


def file(short: bytes, long: str = "", *, bits: int = 0, attributes: int = 0x20, total: int | None = None) -> bytes:
    """Return the entries of a file as Windows and Linux write them."""
    assert len(short) == 11
    text = long.encode("utf-16-le")
    if len(text) % 26:
        text = (text + b"\0\0").ljust(-(-len(text) // 26) * 26, b"\xff")
    count, total = len(text) // 26, checksum(short) if total is None else total
    parts = b""
    for number in range(count, 0, -1):
        part = text[(number - 1) * 26 : number * 26]
        first = number | 0x40 if number == count else number
        parts += bytes([first]) + part[:10] + b"\x0f\0" + bytes([total]) + part[10:22] + b"\0\0" + part[22:]
    return parts + short + bytes([attributes, bits]) + bytes(13) + b"\x05\0" + bytes(4)


def read(*entries: bytes, behind: bytes = bytes(64)) -> list[Short]:
    return list(read_entries(b"".join(entries) + behind, "/boot"))


@pytest.mark.parametrize(
    ("entry", "name", "alias"),
    [
        (file(b"CMDLINE TXT"), "CMDLINE.TXT", "CMDLINE.TXT"),
        (file(b"CMDLINE TXT", bits=0x18), "cmdline.txt", "cmdline.txt"),
        (file(b"CMDLINE TXT", bits=0x08), "cmdline.TXT", "cmdline.TXT"),
        (file(b"CMDLINE TXT", "Cmdline.txt"), "Cmdline.txt", "CMDLINE.TXT"),
        (file(b"USER-D~1   ", "user-data"), "user-data", "USER-D~1"),
        (file(b"LONGFILETXT", "longfilename.txt"), "longfilename.txt", "LONGFILE.TXT"),  # Without a tail, as Linux may.
        (file(b"THIRTE~1   ", "thirteen-long"), "thirteen-long", "THIRTE~1"),  # A part that is full has no zero.
        (file(b"TWENTY~1   ", "t" * 26), "t" * 26, "TWENTY~1"),
        (file(b"\x05TEST   TXT"), "\u03c3TEST.TXT", "\u03c3TEST.TXT"),
        (file(b"OVERLAYS   ", attributes=0x10), "OVERLAYS", "OVERLAYS"),
    ],
)
def test_what_systems_write_is_read(entry: bytes, name: str, alias: str) -> None:
    dots = file(b".          ", attributes=0x10) + file(b"..         ", attributes=0x10)
    (found,) = read(dots, LABEL, DELETED, entry, DELETED)
    assert (found.name, found.alias, found.first) == (name, alias, 5)
    (found,) = read(entry, behind=b"")
    assert found.name == name


CONFIG = file(b"CONFIG  TXT", "config.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONFIG + bytes(32) + file(b"USER-D~1   ", "user-data"), "has entries behind its end"),
        (CONFIG + bytes(2048) + b"\1", "has entries behind its end"),
        (CONFIG + bytes(1) + b"x" + bytes(30), "has entries behind its end"),
        (CONFIG + file(b"CONFIG  TXT"), "has the name 'config.txt' twice"),
        (CONFIG + file(b"OTHER~1    ", "Config.TXT"), "has the name 'config.txt' twice"),
        (CONFIG + file(b"CONFIG  TXT", "harmless.bin"), "has the name 'config.txt' twice"),
        (file(b"CONFIG~1TXT", "harmless.bin") + file(b"HARMLESSBIN"), "has the name 'harmless.bin' twice"),
        (file(b"CONFIG  TXT", "config.txt", total=1), "long name that is not of its short name 'CONFIG.TXT'"),
        (b"\x01" + CONFIG[1:], "long name that is not of its short name"),
        (b"\x42" + CONFIG[1:], "long name that is not of its short name"),
        (file(b"CONFIG~1TXT", "x" * 20)[32:], "long name that is not of its short name"),
        (file(b"LONG~1     ", "x" * 300), "long name that is not of its short name"),
        (CONFIG[:32] + DELETED, "has parts of a long name without a file"),
        (CONFIG[:32] + LABEL + CONFIG[32:], "has parts of a long name without a file"),
        (CONFIG[:32], "has parts of a long name without a file"),
        (CONFIG[:11] + b"\x4f" + CONFIG[12:], "long name that is not of its short name"),
        (file(b"USER-D~1   ", "user-data."), "has the name 'user-data.', which none can have"),
        (file(b"USER-D~1   ", "user\0data"), "has the name 'user', which none can have"),
    ],
)
def test_what_readers_would_not_agree_on_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(VerifyError, match=f"the FAT is damaged: /boot .*{message}"):
        read(content)


def test_the_short_name_finds_a_file_too() -> None:
    entry = Entry("/boot/A long name.txt", "file", 0o755, 0, 0, 0, 0, alias="CMDLINE.TXT")
    folder = replace(entry, path="/boot/Folder name", kind="directory", alias="FOLDER~1")
    inner = replace(entry, path="/boot/Folder name/x", alias="")
    top = replace(folder, path="/boot", alias="")
    tree = FileTree([top, entry, folder, inner], Mounts({"/boot": True}))
    assert tree.find("/boot/cmdline.txt") is entry
    assert tree.glob("/boot/cmd*") == [entry]
    assert tree.glob("/boot/*") == [entry, folder]
    assert tree.find("/boot/folder~1/X") is inner
