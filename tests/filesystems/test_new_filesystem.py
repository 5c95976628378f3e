# SPDX-License-Identifier: MIT
"""What a new filesystem costs: a module in builder/filesystems/, and a row in builder/filesystem.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.filesystem import CHECKERS, Filesystem
from builder.filesystems.table import DRIVERS
from builder.system.tools import DEBIAN_PACKAGES
from builder.units import load_size
from tests.support.one_row import ask_with_row

ROW = """\
    TAR = (
        "tar",
        FilesystemRow(
            linux="tarfs",
            mbr_type="7f",
            gpt_type="8DA63339-0007-60C0-C436-083AC8230908",
            programs={"mktarfs": "tarfs-tools", "tar": "tar"},
            checkers=("tar",),
            label_letters=9,
            minimum="1MiB",
            minimum_reason="a header",
        ),
    )


"""
MODULE = '''\
"""A tar archive in a partition. Linux mounts none, but it has all parts of a driver."""

import io
import tarfile

from builder.disk.entry import Entry, Piece
from builder.errors import VerifyError
from builder.filesystems.model import FilesystemDriver, FilesystemFacts
from builder.system.process import run
from builder.units import MIB

KINDS = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink"}


class Content:
    def __init__(self, size_bytes):
        self.size_bytes = size_bytes

    def shortage_bytes(self, size_bytes, margin_bytes):
        return max(0, self.size_bytes + margin_bytes - size_bytes)


def detect(region):
    return region.read(257, 5) == b"ustar"


def _open(region):
    return tarfile.open(fileobj=io.BytesIO(region.read(0, 64 * MIB)))


def read_facts(region):
    with _open(region) as archive:
        used = max(member.offset_data + member.size for member in archive)
        values = archive.pax_headers
    size = int(values["capacity"])
    return FilesystemFacts("tar", values["id"], values["label"], size, size - used)


def read_entries(region, mount):
    with _open(region) as archive:
        return [
            Entry(
                f"{mount.rstrip('/')}/{member.name}".rstrip("/") or "/", KINDS[member.type], member.mode, 0, 0,
                member.size, int(member.mtime), target=member.linkname,
                pieces=(Piece(0, member.size, region.path, region.offset_bytes + member.offset_data),),
            )
            for member in archive
        ]


def read_file(region, path, limit):
    entries = {entry.path: entry for entry in read_entries(region, "/")}
    return (entries[path].read(limit), entries[path].mtime) if path in entries else None


def find_free(region):
    facts = read_facts(region)
    return [(facts.size_bytes - facts.free_bytes, facts.size_bytes)]


def fsck(region, size_bytes, copy):
    copy.write_bytes(region.read(0, size_bytes))
    try:
        return run(["tar", "--list", "--file", copy], ok=range(256))
    finally:
        copy.unlink()


def measure(tree, workspace):
    return Content(MIB + sum(path.lstat().st_size + 1024 for path in tree.rglob("*")))


def make(target, slot, tree, epoch, workspace):
    values = {"id": slot.fs_id, "label": slot.label, "capacity": str(target.size_bytes)}
    with target.path.open("r+b") as stream:
        stream.seek(target.offset_bytes)
        with tarfile.open(fileobj=stream, mode="w", pax_headers=values) as archive:
            archive.add(tree, "")


def check(target, slot):
    facts = read_facts(target)
    if (facts.id, facts.label) != (slot.fs_id, slot.label):
        raise VerifyError(f"slot {slot.name}: found {facts}")


DRIVER = FilesystemDriver(
    detect=detect, read_facts=read_facts, read_entries=read_entries, read_file=read_file, find_free=find_free,
    fsck=fsck, measure=measure, make=make, check=check,
)
'''
BOARD = """\
extends: qemu-amd64
table:
  partitions:
    - {name: esp, filesystem: fat32, size: 40MiB, mount: /boot/efi, label: BOOT, flags: [esp]}
    - {name: root, filesystem: tar, size: auto, margin: 8MiB, mount: /, label: LABEL}
"""
FILES = {
    "etc/os-release": 'BOARDWRIGHT_BOARD="mine"\nIMAGE_VERSION="1.0"\n',
    "etc/hostname": "a host\n",
    "usr/lib/clock-epoch": "",
    "var/lib/dpkg/status": "Package: mawk\n",
}
PROBE = """
import os
import shutil
import sys
from pathlib import Path

import pytest

import builder
from builder.artefact import reuse
from builder.engine import local
from builder.errors import RecipeError, VerifyError
from builder.image.assemble import check_image, make_image
from builder.packaging.contents import read_contents
from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.recipe.schema import render_schema
from builder.rootfs.fstab import render_fstab
from builder.rootfs.model import Rootfs
from builder.system.fingerprint import find_code
from builder.system.tools import DEBIAN_PACKAGES
from builder.system.workspace import open_workspace
from builder.verify.facts.image import ImageFacts
from builder.verify.live.qemu.needs import SPECS
from builder.verify.verify import read_claim
from tests.conftest import ROOT
from tests.filesystems.test_new_filesystem import BOARD, FILES

copy, scratch = Path(sys.argv[1]), Path(sys.argv[2])
assert Path(builder.__file__).is_relative_to(copy), "it is the copy"
boards = scratch / "boards"
shutil.copytree(ROOT / "boards", boards, ignore=shutil.ignore_patterns("*.deb"))
(boards / "mine").mkdir()
recipe = boards / "mine/board.yaml"

assert "fat32, ext4 or tar" in render_schema()
recipe.write_text(BOARD.replace("LABEL", "long-label"))
with pytest.raises(RecipeError, match="found the label 'long-label'; expected at most 9 characters for tar"):
    load_board(boards, "mine")
recipe.write_text(BOARD.replace("LABEL", "root").replace("filesystem: tar", "filesystem: fat32"))
with pytest.raises(RecipeError, match="found fat32; expected ext4 or tar for /: it keeps owners"):
    load_board(boards, "mine")

recipe.write_text(BOARD.replace("LABEL", "root"))
plan = make_plan(load_board(boards, "mine"), version="1.0", epoch=1_700_000_000)
root = plan.slot("/")
assert " / tarfs defaults 0 1" in render_fstab(plan)
assert root.type_code == "8DA63339-0007-60C0-C436-083AC8230908"
assert len(root.fs_id) == 36, "a UUID"

trees = {"/": scratch / "root", "/boot/efi": scratch / "esp"}
trees["/boot/efi"].mkdir()
for name, text in FILES.items():
    file = trees["/"] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (1_600_000_000, 1_600_000_000))
(trees["/"] / "boot/efi").mkdir(parents=True)
with open_workspace(scratch / "state", "mine") as workspace:
    image = make_image(plan, Rootfs(trees, ()), workspace, directory=scratch)

claim = read_claim(image.path)
assert (claim.board, claim.version, claim.epoch) == ("mine", "1.0", 1_600_000_000)
contents = read_contents(image.path)
assert [area.filesystem for area in contents.areas] == ["fat32", "tar"]
assert contents.status == "Package: mawk\\n"
area = contents.areas[1]
start = image.disk.slots[1].start_sector * 512
assert contents.unused[-1] == (start + area.size_bytes - area.free_bytes, start + area.size_bytes)
facts = ImageFacts(image.path, plan, scratch)
assert facts.file("/etc/hostname").content_string == "a host\\n"
assert facts.filesystem(root).kind == root.filesystem
assert facts.fsck(root).code == 0

image.path.write_bytes(image.path.read_bytes().replace(b"label=root", b"label=boot"))
with pytest.raises(VerifyError, match="slot root: found"):
    check_image(image)

assert DEBIAN_PACKAGES["mktarfs"] == "tarfs-tools"
assert "mktarfs" in local.TOOLS and "tar" in SPECS and "tarfs-tools" in reuse.TOOLS
assert copy / "filesystems/tar.py" in find_code(*reuse.CODE), "it is an input of the artefacts"
"""


@pytest.mark.machine
def test_a_new_filesystem_is_a_module_and_a_row(tmp_path: Path) -> None:
    """mtools and sfdisk make the image around it."""
    ask_with_row("filesystem.py", "PROGRAMS = ", ROW, PROBE, tmp_path, {"filesystems/tar.py": MODULE})


@pytest.mark.parametrize("filesystem", Filesystem)
def test_a_row_is_whole(filesystem: Filesystem) -> None:
    row = filesystem.row
    assert Filesystem(filesystem.value) is filesystem
    assert all((row.linux, row.mbr_type, row.gpt_type, row.programs, row.label_letters))
    assert not row.minimum or (load_size(row.minimum) and row.minimum_reason)
    assert set(row.checkers) <= row.programs.keys() & set(CHECKERS)
    assert row.programs.items() <= DEBIAN_PACKAGES.items()
    assert DRIVERS[filesystem]
