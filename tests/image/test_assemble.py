# SPDX-License-Identifier: MIT
"""A plan and two trees become a disk file; foreign tools read it."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
import stat
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from builder import log
from builder.choices import Assembler
from builder.errors import MachineError, RecipeError
from builder.image.assemble import make_image
from builder.plan.model import Disk
from builder.rootfs.model import Rootfs
from builder.system.process import run
from builder.system.workspace import Workspace, loop_devices, open_workspace
from builder.units import MIB, SECTOR

from .conftest import (
    EPOCH,
    ROOT_UUID,
    fill_hard,
    fill_small,
    make_blob,
    make_disk,
    make_gpt,
    make_plan,
    make_rootfs,
    make_slot,
)

machine = pytest.mark.machine


def make_digest(disk: Disk, rootfs: Rootfs, state: Path, assembler: Assembler) -> str:
    with open_workspace(state, "test") as workspace:
        image = make_image(make_plan(disk), rootfs, workspace, assembler=assembler)
        return hashlib.sha256(image.path.read_bytes()).hexdigest()


def list_names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Rootfs:
    return fill_hard(tmp_path_factory.mktemp("hard") / "trees")


@pytest.fixture
def on_tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A directory whose order of names is another one than on disk."""
    target = tmp_path / "tmpfs"
    target.mkdir()
    run(["mount", "-t", "tmpfs", "none", target])
    try:
        yield target
    finally:
        run(["umount", target])


@machine
@pytest.mark.parametrize("disk", [make_disk(blobs=(make_blob(),)), make_gpt()], ids=["mbr", "gpt"])
def test_both_assemblers_give_the_same_bytes_whenever_and_wherever(
    disk: Disk, hard: Rootfs, tmp_path: Path, on_tmpfs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = hard.trees["/"].parent
    shutil.rmtree(on_tmpfs / "trees", ignore_errors=True)
    run(["cp", "--archive", "--sparse=never", source, on_tmpfs / "trees"])
    elsewhere = make_rootfs(on_tmpfs / "trees")
    many = "usr/share/many/1"
    assert list_names(hard.trees["/"] / many) != list_names(elsewhere.trees["/"] / many), "the copy proves nothing"

    digests = {make_digest(disk, hard, tmp_path / "a", Assembler.LOOP)}
    for path in source.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.open("rb").close()  # Another access time.
    time.sleep(2.1)  # Another second, also for a FAT, which counts in twos.
    monkeypatch.chdir("/")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("MTOOLS_LOWER_CASE", "1")
    digests.add(make_digest(disk, hard, tmp_path / "another place", Assembler.OFFLINE))
    digests.add(make_digest(disk, elsewhere, tmp_path / "another place", Assembler.LOOP))
    digests.add(make_digest(disk, elsewhere, tmp_path / "c", Assembler.OFFLINE))
    assert len(digests) == 1


@machine
def test_ext4_holds_what_the_tree_holds(hard: Rootfs, workspace: Workspace, tmp_path: Path) -> None:
    image = make_image(make_plan(make_disk()), hard, workspace, assembler=Assembler.OFFLINE)
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    slot = image.disk.slots[1]
    assert slot.sectors
    place = f"offset={slot.start_sector * SECTOR},sizelimit={slot.sectors * SECTOR}"
    run(["mount", "-o", f"ro,loop,{place}", image.path, mounted])
    try:
        differences = list(find_differences(hard.trees["/"], mounted))
        found = mounted.lstat()
    finally:
        run(["umount", mounted])
    assert differences == []
    assert (stat.S_IMODE(found.st_mode), found.st_uid, int(found.st_ctime)) == (0o711, 0, EPOCH)


def find_differences(tree: Path, mounted: Path) -> Iterator[str]:
    names = {path.relative_to(tree) for path in tree.rglob("*")}
    for extra in {path.relative_to(mounted) for path in mounted.rglob("*")} - names - {Path("lost+found")}:
        yield f"{extra} was not there"
    inodes: dict[int, int] = {}
    for name in sorted(names):
        facts, copied = describe(tree / name), describe(mounted / name)
        if facts != copied:
            yield f"{name}: {facts} became {copied}"
        if inodes.setdefault((tree / name).lstat().st_ino, (mounted / name).lstat().st_ino) != (
            (mounted / name).lstat().st_ino
        ):
            yield f"{name}: a hard link was lost"


def describe(path: Path) -> dict[str, object]:
    status = path.lstat()
    facts: dict[str, object] = {
        "mode": status.st_mode,
        "owner": (status.st_uid, status.st_gid),
        "mtime": min(int(status.st_mtime), EPOCH),
        "xattrs": {
            name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
        },
    }
    if path.is_symlink():
        return facts | {"target": path.readlink()}
    if stat.S_ISREG(status.st_mode):
        return facts | {"digest": hashlib.sha256(path.read_bytes()).hexdigest(), "links": status.st_nlink}
    return facts if path.is_dir() else facts | {"device": status.st_rdev}


@machine
def test_fat_holds_what_the_tree_holds(hard: Rootfs, workspace: Workspace, tmp_path: Path) -> None:
    image = make_image(make_plan(make_disk()), hard, workspace, assembler=Assembler.OFFLINE)
    name = f"{image.path}@@{2048 * SECTOR}"
    run(["mcopy", "-s", "-m", "-i", name, "::/", tmp_path / "out"], env={"SOURCE_DATE_EPOCH": str(EPOCH)})
    boot = hard.trees["/boot/firmware"]
    names = {path.relative_to(boot) for path in boot.rglob("*")}
    assert {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*")} == names
    files = [str(path) for path in names if (boot / path).is_file()]
    assert filecmp.cmpfiles(boot, tmp_path / "out", files, shallow=False) == (files, [], [])
    out = tmp_path / "out"
    assert (out / "config.txt").stat().st_mtime == int((boot / "config.txt").stat().st_mtime) // 2 * 2
    for touched in ("empty", "EFI/BOOT/BOOTAA64.EFI"):  # After the epoch, and before a FAT's first day.
        assert (out / touched).stat().st_mtime == EPOCH


@machine
def test_foreign_tools_agree_with_the_plan_of_an_mbr(small: Rootfs, workspace: Workspace) -> None:
    image = make_image(make_plan(make_disk(blobs=(make_blob(),))), small, workspace)
    root = image.disk.slots[1]
    printed = run(["parted", "--script", "--machine", image.path, "unit", "s", "print"]).stdout
    assert "1:2048s:83967s:81920s:fat32::boot, lba;" in printed
    assert f"2:83968s:{83968 + (root.sectors or 0) - 1}s:{root.sectors}s:ext4::;" in printed
    with image.path.open("rb") as stream:
        stream.seek(440)
        assert stream.read(6) == bytes.fromhex("3d2c1b0a0000")
        stream.seek(8192)
        blob = (small.trees["/"] / "usr/lib/u-boot/spl.bin").read_bytes()
        assert stream.read(len(blob)) == blob
    assert run(["mtype", "-i", f"{image.path}@@1048576", "::/config.txt"]).stdout == "arm_64bit=1\n"
    listing = run(["mdir", "-i", f"{image.path}@@1048576", "::/overlays"]).stdout
    assert "disable-bt-with-a-long-name.dtbo" in listing
    assert "1A2B-3C4D" in listing
    view = f"{image.path}?offset={83968 * SECTOR}"
    assert run(["debugfs", "-R", "cat /etc/hostname", view]).stdout == "test\n"
    facts = run(["dumpe2fs", "-h", view]).stdout
    assert f"Filesystem UUID:          {ROOT_UUID}" in facts
    assert "Filesystem created:       Tue Nov 14 22:13:20 2023" in facts
    assert "Lifetime writes" not in facts
    features = next(line for line in facts.splitlines() if line.startswith("Filesystem features"))
    assert "orphan_file" not in features
    assert "metadata_csum_seed" not in features
    assert "has_journal" in features


@machine
def test_foreign_tools_agree_with_the_plan_of_a_gpt(small: Rootfs, workspace: Workspace) -> None:
    image = make_image(make_plan(make_gpt()), small, workspace)
    assert "No problems found" in run(["sgdisk", "--verify", image.path]).stdout
    listing = run(["gdisk", "-l", image.path]).stdout
    assert "7E5F1C0A-94B8-4C5D-8A57-1F4B5F3F0C01" in listing
    assert "EF00" in listing
    attributes = run(["sgdisk", "--info=1", image.path]).stdout
    assert "Attribute flags: 0000000000000004" in attributes
    last = image.disk.slots[-1]
    assert image.size_bytes % MIB == 0
    assert image.size_bytes // SECTOR - (last.start_sector + (last.sectors or 0)) >= 33


@machine
def test_the_image_is_sparse_and_nothing_else_remains(small: Rootfs, workspace: Workspace) -> None:
    image = make_image(make_plan(make_disk()), small, workspace, assembler=Assembler.LOOP)
    assert image.path == workspace.scratch / "boardwright-test-1.img"
    assert image.path.stat().st_blocks * 512 < image.size_bytes // 3
    assert {path.name for path in workspace.scratch.iterdir()} == {image.path.name, "mke2fs.conf"}
    assert loop_devices(str(image.path)) == []


@machine
def test_an_auto_slot_has_its_margin(small: Rootfs, workspace: Workspace) -> None:
    for margin in (0, 1, 100 * MIB):
        disk = make_disk(slots=(make_slot(1), make_slot(2, margin_bytes=margin)))
        image = make_image(make_plan(disk), small, workspace, assembler=Assembler.OFFLINE)
        facts = run(["dumpe2fs", "-h", f"{image.path}?offset={83968 * SECTOR}"]).stdout
        numbers = {line.partition(":")[0]: line.partition(":")[2].strip() for line in facts.splitlines()}
        free = (int(numbers["Free blocks"]) - int(numbers["Reserved block count"])) * 4096
        assert margin <= free < margin * 1.1 + 8 * MIB


@machine
def test_a_fat_can_be_the_auto_slot(small: Rootfs, workspace: Workspace) -> None:
    (small.trees["/boot/firmware"] / "big").write_bytes(b"b" * 60 * MIB)
    slots = (
        make_slot(2, number=1, start_sector=2048, sectors=64 * 2048),
        make_slot(1, number=2, start_sector=2048 + 64 * 2048, sectors=None, margin_bytes=5 * MIB),
    )
    image = make_image(make_plan(make_disk(slots=slots)), small, workspace, assembler=Assembler.OFFLINE)
    assert 65 * 2048 <= (image.disk.slots[1].sectors or 0) <= 68 * 2048


@machine
def test_only_the_loop_assembler_needs_loop_devices(
    small: Rootfs, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.system.loop.CONTROL", Path("/dev/no-such-control"))
    make_image(make_plan(make_disk()), small, workspace)
    with pytest.raises(MachineError, match="No such file") as caught:
        make_image(make_plan(make_disk()), small, workspace, assembler=Assembler.LOOP)
    assert "--assembler offline" in caught.value.hint


def test_an_image_is_written_where_it_is_wanted(small: Rootfs, workspace: Workspace, tmp_path: Path) -> None:
    image = make_image(make_plan(make_disk()), small, workspace, directory=tmp_path)
    assert image.path.parent == tmp_path.resolve()
    assert not list(workspace.scratch.glob("*.img"))


def test_a_mount_point_without_a_tree_is_named(small: Rootfs, workspace: Workspace) -> None:
    disk = make_disk(slots=(make_slot(1, mount="/boot"), make_slot(2)))
    with pytest.raises(RecipeError, match="boot is mounted at /boot, but the rootfs has no tree"):
        make_image(make_plan(disk), small, workspace, assembler=Assembler.OFFLINE)


@machine
def test_the_offline_assembler_needs_no_root() -> None:
    room = Path("/var/tmp") / f"boardwright-test-{os.getpid()}"
    room.mkdir()
    os.chown(room, 65534, 65534)
    try:
        child = os.fork()
        if child == 0:
            _assemble_as_nobody(room)
        _, status = os.waitpid(child, 0)
        output = (room / "output").read_text()
        images = list(room.glob("kept.img"))
    finally:
        shutil.rmtree(room)
    assert os.waitstatus_to_exitcode(status) == 0, output
    assert images


def _assemble_as_nobody(room: Path) -> NoReturn:
    code = 1
    try:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        with (room / "output").open("w") as output, log.use(log.Plain(output)):
            try:
                rootfs = fill_small(room / "trees")
                with open_workspace(room / "state", "test") as workspace:
                    make_image(make_plan(make_disk()), rootfs, workspace).path.rename(room / "kept.img")
                code = 0
            except BaseException:
                traceback.print_exc(file=output)
    finally:
        os._exit(code)
