# SPDX-License-Identifier: MIT
"""Images that make much of few bytes: read for a while and with little memory, and then refused in words."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from builder.disk import dpkg, initrd, walk
from builder.disk.dpkg import find_changed_files
from builder.disk.elf import HEAD_BYTES, is_elf
from builder.disk.entry import Entry
from builder.disk.image_file import open_image
from builder.disk.initrd import read_initrd
from builder.disk.region import Region
from builder.errors import VerifyError
from builder.filesystems.ext4 import read as ext4
from builder.filesystems.ext4.read import read_ext4
from builder.filesystems.fat32 import read as fat
from builder.filesystems.fat32.read import find_free, read_fat
from builder.filesystems.table import read_facts
from builder.packaging import contents
from builder.packaging.contents import read_contents
from builder.rootfs.model import DELIVERED
from builder.units import GIB, KIB, MIB
from builder.verify.facts import kernel
from builder.verify.facts.cloud import SCHEMAS, Cloud
from builder.verify.facts.kernel import XZ_MAGIC, Kernels, unpack_kernel
from builder.verify.facts.rights import KINDS, RightFacts, Rights
from builder.verify.live.qemu.kernel import take_boot_files
from tests.disk.test_hostile_filesystems import debug, make_ext4, mtool
from tests.disk.test_initrd import archive
from tests.support.card import make_card
from tests.support.qemu_images import FILES, make_fat_image, plan_of
from tests.support.trees import make_tree

pytestmark = pytest.mark.machine

BLOCK = 4 * KIB
FREE = 4000
"""Blocks from here on are free in an ext4 of 16 MiB."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tree = tmp_path / "source"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n" * 200)
    return tree


def is_program(entry: Entry) -> bool:
    return is_elf(entry.read(HEAD_BYTES))


def write_blocks(place: Region, *blocks: bytes) -> None:
    with place.path.open("r+b") as stream:
        stream.seek(FREE * BLOCK)
        stream.write(b"".join(block.ljust(BLOCK, b"\0") for block in blocks))


def lead_extents_to_the_same_block(source: Path, image: Path) -> Region:
    """Five levels, where each of 340 rows leads to the one block below, and that to nothing: 340⁴ reads."""
    place = make_ext4(source, image, "-b", "4096")
    rows = [
        struct.pack("<HHHHI", 0xF30A, 340, 340, depth, 0) + struct.pack("<IIHH", 0, FREE + 5 - depth, 0, 0) * 340
        for depth in (4, 3, 2, 1)
    ]
    write_blocks(place, *rows, struct.pack("<HHHHI", 0xF30A, 0, 340, 0, 0))
    root = struct.pack("<HHHHI", 0xF30A, 1, 4, 5, 0) + struct.pack("<IIHH", 0, FREE, 0, 0)
    set_blocks(place, root)
    return place


def lead_a_map_to_the_same_block(source: Path, image: Path) -> Region:
    """Three levels of 1024 numbers that are all the same, and then zeros."""
    place = make_ext4(source, image, "-b", "4096", "-O", "^extent,^64bit,^metadata_csum")
    write_blocks(place, struct.pack("<I", FREE + 1) * 1024, struct.pack("<I", FREE + 2) * 1024, b"")
    set_blocks(place, bytes(14 * 4) + struct.pack("<I", FREE))
    debug(place, f"sif /etc/passwd size {2**41}")
    return place


def set_blocks(place: Region, content: bytes) -> None:
    """Write the 60 bytes of an inode that say where the content of /etc/passwd lies."""
    numbers = struct.unpack("<15I", content.ljust(60, b"\0"))
    names = [*range(12), "IND", "DIND", "TIND"]
    debug(place, *(f"sif /etc/passwd block[{name}] {number}" for name, number in zip(names, numbers, strict=True)))


def share_the_value_of_attributes(source: Path, image: Path) -> Region:
    """A block of attributes whose 100 names have the same two kilobytes for their value."""
    place = make_ext4(source, image, "-b", "4096")
    rows = b"".join(
        struct.pack("<BBHII", 2, 1, 2000, 0, 2000) + bytes(4) + f"{at:02}".encode() + b"\0\0" for at in range(99)
    )
    write_blocks(place, struct.pack("<IIII", ext4.XATTRS, 1, 1, 0).ljust(32, b"\0") + rows)
    debug(place, f"sif /etc/passwd file_acl {FREE}")
    return place


def have_long_links(source: Path, image: Path) -> Region:
    for number in range(40):
        (source / f"{number}").symlink_to("x" * 3000)
    return make_ext4(source, image, "-b", "4096")


CRAFTED: dict[Callable[[Path, Path], Region], str] = {
    lead_extents_to_the_same_block: "bytes that say where its files lie",
    lead_a_map_to_the_same_block: "bytes that say where its files lie",
    share_the_value_of_attributes: "bytes of links and extended attributes",
    have_long_links: "bytes of links and extended attributes",
}


@pytest.mark.parametrize("craft", CRAFTED, ids=lambda craft: craft.__name__)
def test_an_ext4_cannot_make_much_of_few_bytes(
    craft: Callable[[Path, Path], Region], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ext4, "MOST_NODES", 8 * MIB)
    monkeypatch.setattr(ext4, "MOST_TEXT", 100 * KIB)
    with pytest.raises(VerifyError, match=f"the ext4 is damaged: it has more than [0-9]+ {CRAFTED[craft]}"):
        read_ext4(craft(source, tmp_path / "image"))


def test_paths_have_an_end(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source / "/".join(["d" * 200] * 10)).mkdir(parents=True)
    monkeypatch.setattr(walk, "MOST_TEXT", 5000)
    with pytest.raises(VerifyError, match="more than 5000 letters in its paths"):
        read_ext4(make_ext4(source, tmp_path / "image"))


@pytest.mark.parametrize("read", [lambda entry: entry.read(), lambda entry: entry.hash("md5")])
def test_files_are_read_to_an_end_together(
    read: Callable[[Entry], object], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holes take no room."""
    for number in range(10):
        (source / f"etc/{number}").touch()
        os.truncate(source / f"etc/{number}", 10 * MIB)
    monkeypatch.setattr(ext4, "MOST_READ", 50 * MIB)
    files = [each for each in read_ext4(make_ext4(source, tmp_path / "image")) if each.size_bytes == 10 * MIB]
    assert [is_program(each) for each in files] == [False] * 10
    with pytest.raises(VerifyError, match="more than 52428800 bytes that are read of its files"):
        [read(each) for each in files]


def test_a_file_of_many_names_is_read_for_each_and_hashed_once(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(source / "etc/passwd", 10 * MIB)
    for number in range(9):
        os.link(source / "etc/passwd", source / f"etc/{number}")
    monkeypatch.setattr(ext4, "MOST_READ", 50 * MIB)
    files = [each for each in read_ext4(make_ext4(source, tmp_path / "image")) if each.size_bytes == 10 * MIB]
    content = (source / "etc/passwd").read_bytes()
    assert {each.hash("sha256") for each in files} == {hashlib.sha256(content).hexdigest()}
    with pytest.raises(VerifyError, match="more than 52428800 bytes that are read of its files"):
        [each.read() for each in files]


# FAT


@pytest.fixture
def shared(tmp_path: Path) -> Region:
    """A FAT with a file of half of it, and two more that begin with its first cluster."""
    image = tmp_path / "fat"
    image.touch()
    os.truncate(image, 40 * MIB)
    mtool("mformat", "-F", "-c", "1", "-i", image, "::")
    (tmp_path / "ONE").write_bytes(bytes(20 * MIB))
    mtool("mcopy", "-i", image, tmp_path / "ONE", "::/")
    content = image.read_bytes()
    at = content.index(b"ONE        ")
    for number, name in enumerate((b"TWO", b"THREE"), 1):
        content = (
            content[: at + 32 * number]
            + name.ljust(11)
            + content[at + 11 : at + 32]
            + content[at + 32 * (number + 1) :]
        )
    image.write_bytes(content)
    return Region(image, 0)


def test_files_of_a_fat_cannot_share_clusters(shared: Region) -> None:
    with pytest.raises(VerifyError, match=r"more than [0-9]+ clusters in its chains, of which each can be in one"):
        read_fat(shared, "/boot")


def test_pieces_of_a_fat_have_an_end(shared: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fat, "MOST_PIECES", 0)
    with pytest.raises(VerifyError, match="more than 0 pieces of files"):
        read_fat(shared, "/boot")


@pytest.mark.parametrize("at", [13, 14, 16, 32, 36])
def test_what_is_free_is_asked_of_a_sound_fat_only(at: int, shared: Region) -> None:
    with shared.path.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"\xff\xff\xff\xff" if at == 32 else bytes(4))
    with pytest.raises(VerifyError, match="the FAT is damaged"):
        list(find_free(shared))


# Initrds and kernels


def test_compressed_parts_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initrd, "MOST_PARTS", 3)
    assert read_initrd(gzip.compress(b"") * 3) == {}
    with pytest.raises(VerifyError, match="more than 3 compressed parts"):
        read_initrd(gzip.compress(b"") * 4)


def test_parts_have_an_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = gzip.compress(archive(tmp_path / "a", init="x" * 2 * MIB))
    monkeypatch.setattr(initrd, "LARGEST", 3 * MIB)
    assert len(read_initrd(part)["init"].content) == 2 * MIB
    with pytest.raises(VerifyError, match="bytes unpacked, which is the most that is read"):
        read_initrd(part * 2)


def test_a_name_in_an_initrd_has_an_end(tmp_path: Path) -> None:
    data = bytearray(archive(tmp_path / "a", one="1"))
    data[6 + 8 * 11 : 6 + 8 * 12] = b"00ffffff"
    with pytest.raises(VerifyError, match="the name at byte 110 has 16777215 bytes"):
        read_initrd(bytes(data))


def test_members_are_counted_over_all_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initrd, "MOST_MEMBERS", 2)
    with pytest.raises(VerifyError, match="more than 2 members"):
        read_initrd(archive(tmp_path / "a", one="1") * 3)


def test_initrds_have_an_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = archive(tmp_path / "a", init="x" * 1000)
    system = Kernels()
    system.tree = make_tree(tmp_path, {f"/boot/initrd.img-{number}": data.decode() for number in range(3)})
    assert len(system.initrds) == 3
    del system.initrds
    monkeypatch.setattr(kernel, "MOST_OF_INITRDS", 2500)
    with pytest.raises(VerifyError, match="the initrds of /boot have more than 2500 bytes unpacked"):
        _ = system.initrds


def test_a_kernel_is_unpacked_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "LARGEST_KERNEL", 1000)
    packed = lzma.compress(b"k" * MIB)
    assert len(unpack_kernel(packed)) == len(packed) + 1000
    many = XZ_MAGIC * (kernel.MOST_MAGICS + 1) + packed
    assert unpack_kernel(many) == many


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.txt", "#" * (MIB + 1), "has 1048577 bytes; expected at most 65536"),
        ("cmdline.txt", "quiet " * 1000, "has 5999 characters"),
        ("cmdline.txt", "quiet\0", "has the character U+0000"),
    ],
)
def test_a_card_has_no_text_that_is_none(name: str, text: str, message: str, tmp_path: Path) -> None:
    plan = plan_of("rpi")
    image = make_fat_image(tmp_path / "disk.img", plan, FILES | {name: text})
    with pytest.raises(VerifyError, match=re.escape(f"{name} of the image {message}")):
        take_boot_files(image, plan, tmp_path)


# Packages


def test_copyright_files_have_an_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_COPYRIGHT", 10)
    with pytest.raises(VerifyError, match="the copyright files of the image have more than 10 bytes"):
        read_contents(make_card(tmp_path))


def test_files_of_packages_have_an_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"d41d8cd98f00b204e9800998ecf8427e  {name}\n" for name in ("a", "a", "link"))
    files = {"/var/lib/dpkg/info/x.md5sums": lines, "/a": "x" * 100, "/link": "->/a"}
    tree = make_tree(tmp_path, files)
    assert len(find_changed_files(tree)) == 2, "each line once"
    monkeypatch.setattr(dpkg, "MOST_HASHED", 150)
    with pytest.raises(VerifyError, match="name files of 200 bytes; at most 150 are hashed"):
        find_changed_files(tree)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{", "7"])
def test_a_list_of_what_was_delivered_that_is_none(text: str, tmp_path: Path) -> None:
    image = SimpleNamespace(tree=make_tree(tmp_path, {DELIVERED: text}))
    with pytest.raises(AssertionError, match=r"delivered\.json is damaged"):
        _ = Rights(cast(RightFacts, image)).delivered


def test_a_mode_that_is_none_allows_nothing(tmp_path: Path) -> None:
    text = "root root 99z /usr/bin/tool\nroot root 4755 /usr/bin/other\n"
    image = SimpleNamespace(tree=make_tree(tmp_path, {"/var/lib/dpkg/statoverride": text}))
    assert KINDS["setid"].own(cast(RightFacts, image)) == {"/usr/bin/other": "4755 root:root"}


# Image files


def damage_deflated(path: Path, raw: Path) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(raw, "card.img")
    content = bytearray(path.read_bytes())
    content[60:160] = b"\xff" * 100
    path.write_bytes(content)
    return "Error -3 while decompressing"


def pack_with_lzma(path: Path, raw: Path) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        packed.write(raw, "card.img")
    return "found the method 14; allowed: 0"


def list_many_files(path: Path, raw: Path) -> str:
    with zipfile.ZipFile(path, "w") as packed:
        packed.write(raw, "card.img")
        for number in range(20_000):
            packed.writestr(f"{number:020}", b"")
    return r"its list of files has more than 1 MiB"


@pytest.mark.parametrize("craft", [damage_deflated, pack_with_lzma, list_many_files])
def test_a_crafted_zip_is_refused(craft: Callable[[Path, Path], str], tmp_path: Path) -> None:
    raw, path = tmp_path / "card.img", tmp_path / "packed.img.zip"
    raw.write_bytes(os.urandom(500).hex().encode() * 100)
    message = craft(path, raw)
    with pytest.raises(VerifyError, match=message), open_image(path, tmp_path):
        pass


def test_a_disk_of_terabytes_is_not_read(tmp_path: Path) -> None:
    raw = tmp_path / "card.img"
    raw.touch()
    os.truncate(raw, 65 * GIB)
    with (
        pytest.raises(VerifyError, match=r"card\.img has 65 GiB; allowed: a disk of at most 64 GiB"),
        open_image(raw, tmp_path),
    ):
        pass


# Files of cloud-init


@pytest.mark.parametrize("offset", [16 * 2**40, 2**57, 2**62])
def test_a_filesystem_where_no_file_reaches_has_no_bytes(offset: int, tmp_path: Path) -> None:
    """A GPT may say so: 2**48 sectors are taken for a disk."""
    place = Region(tmp_path / "x.img", offset)
    place.path.write_bytes(bytes(MIB))
    assert place.read(1024, 1024) == b""
    with pytest.raises(VerifyError, match="has no superblock"):
        read_ext4(place)
    with pytest.raises(VerifyError, match="boot sector"):
        read_fat(place, "/boot")
    assert read_facts(place).kind == "unknown"


def test_a_schema_of_an_image_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *words, **_: asked.append(words))
    for reference in ("http://127.0.0.1:9/x", "file:///etc/passwd", "#/none"):
        files = {f"{SCHEMAS}/schema-cloud-config-v1.json": json.dumps({"$ref": reference}), "/user-data": "{a: 1}"}
        with pytest.raises(VerifyError, match="the schema of the image's cloud-init cannot be used"):
            Cloud(make_tree(tmp_path, files)).find_user_data_faults("/user-data")
    assert asked == []


@pytest.mark.parametrize("schema", ["", "[", '{"$ref": "#"}', '{"patternProperties": {"(": {}}}', "7"])
def test_a_schema_of_an_image_may_be_none(schema: str, tmp_path: Path) -> None:
    files = {f"{SCHEMAS}/schema-cloud-config-v1.json": schema, "/user-data": "{a: 1}"}
    with pytest.raises(VerifyError, match="the schema of the image's cloud-init cannot be used"):
        Cloud(make_tree(tmp_path, files)).find_user_data_faults("/user-data")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#" * (MIB + 1), "has 1048577 characters; expected at most 1048576"),
        ("a: [", "of the image cannot be read by cloud-init: expected the node content"),
        ("[" * 5000, "of the image cannot be read by cloud-init: nested too deep"),
        ("a: &a [*a]", "of the image cannot be read by cloud-init: found an alias inside its own value"),
        (
            "".join(f"a{at}: &a{at} [{f'*a{at - 1},' * 9 if at else 1}]\n" for at in range(9)),
            "of the image cannot be read by cloud-init: found more than 20000 values through aliases",
        ),
    ],
)
def test_yaml_that_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match=f"/user-data {message}"):
        Cloud(make_tree(tmp_path, {"/user-data": text})).load("/user-data")
