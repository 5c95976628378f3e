# SPDX-License-Identifier: MIT
"""An image that is not the planned one does not leave the stage."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from builder.choices import Assembler
from builder.errors import VerifyError
from builder.image.assemble import check_image, make_image
from builder.image.model import Image
from builder.rootfs.model import Rootfs
from builder.system.workspace import Workspace
from builder.units import MIB, SECTOR

from .conftest import make_disk, make_plan

machine = pytest.mark.machine


@machine
def test_an_image_of_another_size_is_refused(small: Rootfs, workspace: Workspace) -> None:
    image = make_image(make_plan(make_disk()), small, workspace, assembler=Assembler.OFFLINE)
    check_image(image)
    os.truncate(image.path, image.size_bytes + 1)
    with pytest.raises(VerifyError, match=r"found [0-9]+ bytes; expected [0-9]+"):
        check_image(image)


@machine
@pytest.mark.parametrize(
    ("place", "words"),
    [
        (446 + 8, "partition table"),  # Start of the first slot.
        (440, "id: found [0-9a-f]+; expected 0a1b2c3d"),
        (2048 * SECTOR + 32 * SECTOR + 12, "fsck.vfat finds slot boot damaged"),  # First cluster of the first FAT.
        (2048 * SECTOR + 71, "fsck.vfat finds slot boot damaged|expected a FAT32"),  # Label.
        (83968 * SECTOR + 4096 + 12, "e2fsck finds slot root damaged"),  # A group descriptor.
    ],
)
def test_damage_is_found(place: int, words: str, small: Rootfs, workspace: Workspace) -> None:
    image = make_image(make_plan(make_disk()), small, workspace, assembler=Assembler.OFFLINE)
    with image.path.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ 0x41]))
    with pytest.raises(VerifyError, match=words):
        check_image(image)
    assert not list(workspace.scratch.glob("*.copy"))


@machine
def test_another_id_is_found(small: Rootfs, workspace: Workspace) -> None:
    image = make_image(make_plan(make_disk()), small, workspace, assembler=Assembler.OFFLINE)
    boot, root = image.disk.slots
    for slots, words in (
        ((replace(boot, fs_id="00000001"), root), "slot boot: .*expected a FAT32"),
        ((boot, replace(root, label="other")), "slot root: found uuid .* label 'rootfs'; expected"),
        ((boot, replace(root, type_code="82")), "2 type: found 83; expected 82"),
    ):
        with pytest.raises(VerifyError, match=words):
            check_image(Image(image.path, image.size_bytes, replace(image.disk, slots=slots)))


@machine
def test_a_wrong_measure_does_not_go_unnoticed(
    small: Rootfs, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.filesystems.ext4.make._file_blocks", lambda path, size_bytes: 0)
    (small.trees["/"] / "unseen").write_bytes(b"u" * 4 * MIB)
    with pytest.raises(VerifyError, match="free bytes; expected"):
        make_image(make_plan(make_disk()), small, workspace, assembler=Assembler.OFFLINE)
