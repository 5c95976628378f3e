# SPDX-License-Identifier: MIT
"""Artefacts where a tool fails, the disk is full or the directory changes: nothing half done, nothing lost."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.artefact.files import make_artefact
from builder.compression import Compression
from builder.errors import BusyError, MachineError, SpaceError, ToolError
from builder.units import MIB
from tests.support.artefacts import ALL, EPOCH, Row, make, names, unpack


def test_a_failing_tool_leaves_nothing(
    image: Path, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "bin" / "zstd"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nhead -c 1000\necho 'it broke' >&2\nexit 3\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    with pytest.raises(ToolError, match="it broke"):
        make(image, output)
    assert names(output) == []


def test_a_new_image_is_never_beside_an_old_digest(image: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(image, output)
    image.write_bytes(b"new")
    rename = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if target.suffix == ".packages":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(image, output)
    assert unpack(output / "boardwright-x-1.img.zst") == b"new"
    assert names(output) == ["boardwright-x-1.img.zst"], "neither digest nor reports of the old one"


def test_what_a_killed_build_left_does_no_harm(image: Path, output: Path) -> None:
    partial = output / ".boardwright-x-1.partial"
    partial.mkdir(parents=True)
    (partial / "boardwright-x-1.img.zst").write_bytes(os.urandom(9 * MIB))
    assert unpack(make(image, output)[0].path) == image.read_bytes()
    assert not partial.exists()


@pytest.fixture
def tiny(output: Path) -> Iterator[Path]:
    """An output directory on a disk of 1 MiB."""
    output.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", output], check=True)
    yield output
    subprocess.run(["umount", output], check=True)


@pytest.mark.machine
@pytest.mark.parametrize("compression", ALL)
def test_a_full_disk_leaves_nothing_and_keeps_the_old(image: Path, tiny: Path, compression: Compression) -> None:
    old = tiny / ("boardwright-x-1.img" + (compression.row.suffix))
    old.write_bytes(b"old")
    with pytest.raises(SpaceError):
        make(image, tiny, compression)
    assert names(tiny) == [old.name]
    assert old.read_bytes() == b"old"


@pytest.mark.machine
def test_a_disk_that_is_full_at_the_list_of_packages(tmp_path: Path, tiny: Path) -> None:
    small = tmp_path / "small.img"
    small.write_bytes(b"x")
    many = [Row(f"package-{number}", "1", "all", 1) for number in range(100_000)]
    with pytest.raises(SpaceError, match="packages"):
        make_artefact(small, name="x", compression=Compression.GZ, packages=many, output=tiny, epoch=EPOCH)
    assert names(tiny) == []


def test_two_builds_of_one_name_do_not_mix(image: Path, output: Path) -> None:
    partial = output / ".boardwright-x-1.partial"
    partial.mkdir(parents=True)
    (partial / "half").touch()
    other = os.open(partial, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(BusyError, match="another build"):
        make(image, output)
    assert (partial / "half").exists(), "what the other build made was removed"
    os.close(other)
    make(image, output)
    assert not partial.exists()


def test_nothing_is_written_through_a_link_that_lies_there(image: Path, output: Path, tmp_path: Path) -> None:
    """A repository may bring its own dist/."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    partial = output / ".boardwright-x-1.partial"
    (partial / "directory").mkdir(parents=True)
    (partial / "boardwright-x-1.packages").symlink_to(victim)
    (output / "boardwright-x-1.packages").symlink_to(victim)
    make(image, output)
    assert victim.read_text() == "precious"
    assert not (output / "boardwright-x-1.packages").is_symlink()


def test_a_directory_of_unfinished_artefacts_that_is_a_link(image: Path, output: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    output.mkdir(exist_ok=True)
    (output / ".boardwright-x-1.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError, match=r"\.boardwright-x-1\.partial is a link"):
        make(image, output)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_directory_that_vanishes_before_it_is_locked_is_busy(
    image: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock_late(descriptor: int, operation: int) -> None:
        (output / ".boardwright-x-1.partial").rmdir()

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with pytest.raises(BusyError):
        make(image, output)


def test_a_directory_that_vanishes_before_it_is_opened_is_busy(
    image: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_late = os.open

    def vanish(path: Path, flags: int, *rest: int) -> int:
        if str(path).endswith(".boardwright-x-1.partial"):
            Path(path).rmdir()
        return open_late(path, flags, *rest)

    monkeypatch.setattr(os, "open", vanish)
    with pytest.raises(BusyError):
        make(image, output)
