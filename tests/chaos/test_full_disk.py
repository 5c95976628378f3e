# SPDX-License-Identifier: MIT
"""A disk that fills up on the way: said so, nothing under a final name, all given back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chaos import Place

pytestmark = pytest.mark.machine
MIB = 1024 * 1024


@pytest.fixture(params=["tmpfs", "ext4"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place on a disk of its own, of 40 MiB."""
    directory = tmp_path_factory.mktemp("small")
    disk = directory.with_suffix(".disk")
    if request.param == "ext4":
        with disk.open("wb") as stream:
            stream.truncate(40 * MIB)
        subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-m", "0", "-O", "^has_journal", disk], check=True)
        subprocess.run(["mount", "-o", "loop", disk, directory], check=True)
    else:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", directory], check=True)
    try:
        place = Place(directory.resolve())
        place.add_board()
        yield place
    finally:
        subprocess.run(["umount", directory], check=True)
        disk.unlink(missing_ok=True)


def fill(place: Place, *, free_bytes: int) -> Path:
    """Fill the disk up to so many free bytes."""
    filler = place.path / "filler"
    with filler.open("wb") as stream:
        disk = subprocess.run(["df", "-B1", "--output=avail", place.path], capture_output=True, text=True, check=True)
        for _ in range((int(disk.stdout.split()[1]) - free_bytes) // MIB):
            stream.write(bytes(MIB))
    return filler


@pytest.mark.parametrize(("free_mib", "where"), [(1, "fat32 boot"), (4, "ext4 root")])
def test_a_full_disk_is_said_and_leaves_nothing(small: Place, free_mib: int, where: str) -> None:
    filler = fill(small, free_bytes=free_mib * MIB)
    build = small.build()
    assert build.code == 8, build.output
    steps = [event["text"] for event in build.events if event["kind"] == "fail"]
    assert steps[-1] == where, build.output
    assert build.events[-1]["data"]["kind"] == "space"
    assert small.traces() == []
    assert small.products() == []
    filler.unlink()
    assert small.build().code == 0


def test_an_image_that_is_not_compressed_needs_no_second_room(small: Place) -> None:
    """It gets another name, on the same disk."""
    filler = fill(small, free_bytes=11 * MIB)
    assert small.build().code == 0
    assert "boardwright-tiny-1.img" in small.products()
    filler.unlink()
    shutil.rmtree(small.output)


def test_a_full_disk_while_compressing(small: Place) -> None:
    filler = fill(small, free_bytes=11 * MIB)
    build = small.build("--compress", "zst")
    assert build.code == 8, build.output
    assert [event["text"] for event in build.events if event["kind"] == "fail"][-1] == "artefact: zst"
    assert small.traces() == []
    assert small.products() == []
    filler.unlink()


def test_a_disk_without_a_single_byte_left(small: Place) -> None:
    filler = fill(small, free_bytes=0)
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}.rest", "bs=512"], stderr=subprocess.DEVNULL, check=False)
    build = small.build()
    assert build.code == 8, build.output
    filler.unlink()
    assert small.traces() == []
    assert small.products() == []
