# SPDX-License-Identifier: MIT
"""Artefacts: right, the same every time, and never seen half done."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import lzma
import os
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder import log
from builder.artefact.files import Artefact, finish_artefact, make_artefact, open_partial, render_packages
from builder.compression import Compression
from builder.errors import BusyError, MachineError, SpaceError, ToolError
from builder.net import progress
from builder.system.checksums import sha256_file
from builder.system.workspace import RELEASERS, find_leftovers, open_journal, release
from builder.units import MIB

EPOCH = 1_700_000_000
ALL = tuple(Compression)


@dataclass(frozen=True)
class Row:
    """A package as the rootfs stage lists it."""

    name: str
    version: str
    architecture: str
    size_kib: int


PACKAGES = [Row("zlib1g", "1:1.3", "arm64", 170), Row("bash", "5.2-1", "arm64", 7000), Row("bash", "5.2-1", "armhf", 6)]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "card.img"
    with path.open("wb") as stream:
        stream.write(b"\x55\xaa" * 256)
        stream.seek(8 * MIB)
        stream.write(os.urandom(MIB))
        for source in sorted(Path(os.__file__).parent.glob("*.py")):
            stream.write(source.read_bytes())
        stream.truncate(32 * MIB + 512)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "dist"


def make(image: Path, output: Path, compression: Compression = Compression.ZST) -> tuple[Artefact, ...]:
    return make_artefact(
        image, name="boardwright-x-1", compression=compression, packages=PACKAGES, output=output, epoch=EPOCH
    )


def unpack(path: Path) -> bytes:
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "--decompress", "--stdout", path], check=True, capture_output=True).stdout
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read("boardwright-x-1.img")
    readers = {".xz": lzma.decompress, ".gz": lambda data: zlib.decompress(data, 31)}
    return readers.get(path.suffix, bytes)(path.read_bytes())


def names(output: Path) -> list[str]:
    return sorted(path.name for path in output.iterdir())


@pytest.mark.parametrize("compression", ALL)
def test_the_image_comes_back(image: Path, output: Path, compression: Compression) -> None:
    made = make(image, output, compression)
    product = made[0].path
    assert product.name == "boardwright-x-1.img" + ("" if compression == "none" else f".{compression}")
    assert unpack(product) == image.read_bytes()
    assert names(output) == sorted([product.name, f"{product.name}.sha256", "boardwright-x-1.packages"])
    for artefact in made:
        content = artefact.path.read_bytes()
        assert artefact == Artefact(artefact.path, len(content), hashlib.sha256(content).hexdigest())
    subprocess.run(["sha256sum", "--check", "--strict", f"{product.name}.sha256"], cwd=output, check=True)


@pytest.mark.parametrize("compression", ALL)
def test_the_same_image_gives_the_same_bytes(
    image: Path, tmp_path: Path, compression: Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(image, tmp_path / "a", compression)
    os.utime(image, (1, 1))
    elsewhere = image.rename(tmp_path / "other.img")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # What follows has one core.
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    try:
        second = make(elsewhere, tmp_path / "b", compression)
    finally:
        os.sched_setaffinity(0, cores)
    assert [a.sha256 for a in first] == [b.sha256 for b in second]


def test_an_uncompressed_image_stays_sparse(image: Path, output: Path) -> None:
    made = make(image, output, Compression.NONE)[0]
    assert made.size_bytes == 32 * MIB + 512
    assert made.path.stat().st_blocks * 512 < 12 * MIB


def test_a_zip_has_the_time_of_the_plan(image: Path, output: Path) -> None:
    with zipfile.ZipFile(make(image, output, Compression.ZIP)[0].path) as archive:
        assert archive.infolist()[0].date_time == time.gmtime(EPOCH)[:6]


def test_zstd_knows_the_size_of_the_card(image: Path, output: Path) -> None:
    path = make(image, output)[0].path
    listed = subprocess.run(["zstd", "--list", "--verbose", path], check=True, capture_output=True, text=True).stdout
    assert f"{image.stat().st_size} B" in listed


def test_the_packages_are_a_sorted_table() -> None:
    assert render_packages(PACKAGES) == (
        "name\tversion\tarchitecture\tinstalled size in KiB\n"
        "bash\t5.2-1\tarm64\t7000\nbash\t5.2-1\tarmhf\t6\nzlib1g\t1:1.3\tarm64\t170\n"
    )


def test_older_files_of_the_name_are_replaced_and_others_left_alone(image: Path, output: Path) -> None:
    old = make(image, output)
    (output / "boardwright-x-1.1.img.xz").touch()
    image.write_bytes(b"new")
    new = make(image, output)
    assert [each.path for each in old] == [each.path for each in new]
    assert unpack(new[0].path) == b"new"
    assert (output / "boardwright-x-1.1.img.xz").exists()


def test_progress_is_told(image: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.001)
    story = io.StringIO()
    with log.use(log.Json(story)):
        make(image, output, Compression.GZ)
    events = [json.loads(line) for line in story.getvalue().splitlines()]
    fractions = [event["data"]["fraction"] for event in events if event["kind"] == "progress"]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1
    assert fractions[-1] > 0.2


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


KILLED = """
import sys
from pathlib import Path
from builder.artefact.files import make_artefact
from builder.system.workspace import RELEASERS, open_journal
image, output, state = map(Path, sys.argv[1:])
with open_journal(state, "x", RELEASERS) as journal:
    make_artefact(image, name="x", compression="xz", packages=[], output=output, epoch=0, journal=journal)
"""


def test_a_killed_build_is_cleaned_up_by_its_journal(image: Path, output: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with image.open("wb") as stream:
        stream.write(os.urandom(64 * MIB))
    with subprocess.Popen([sys.executable, "-c", KILLED, image, output, state]) as process:
        while not (output / ".x.partial" / "x.img.xz").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert names(output) == [".x.partial"]
    while not (found := find_leftovers(state)):  # Until xz has started, its process holds the lock too.
        time.sleep(0.01)
    (leftovers,) = found
    release(leftovers, RELEASERS)
    assert names(output) == []


def test_with_a_journal_nothing_stays_held(image: Path, output: Path, tmp_path: Path) -> None:
    with open_journal(tmp_path, "x", RELEASERS) as journal:
        make_artefact(
            image, name="x", compression=Compression.NONE, packages=[], output=output, epoch=EPOCH, journal=journal
        )
        assert journal.is_clear
    assert names(output) == ["x.img", "x.img.sha256", "x.packages"]


def test_reports_are_handed_out_under_their_own_names(image: Path, tmp_path: Path) -> None:
    report = tmp_path / "x.specs.json"
    report.write_text("{}\n")
    made = make_artefact(
        image,
        name="x",
        compression=Compression.NONE,
        packages=[],
        output=tmp_path / "out",
        epoch=EPOCH,
        reports=lambda _: [report],
    )
    assert (tmp_path / "out" / report.name).read_text() == "{}\n"
    assert report.name in [artefact.path.name for artefact in made]


@pytest.mark.parametrize("compression", ["none", "zst"])
def test_the_image_is_announced_before_the_reports(
    image: Path, output: Path, monkeypatch: pytest.MonkeyPatch, compression: Compression
) -> None:
    """Whoever takes it to another disk makes it be there; without, all is on the disk before it has its name."""
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
    )
    told: list[Artefact | str] = []

    def report(digest: str) -> list[Path]:
        told.append(digest)
        return []

    for announce in (told.append, None):
        with open_partial(output, "x", None) as partial:
            first, *_ = finish_artefact(
                image,
                partial,
                name="x",
                compression=compression,
                packages=PACKAGES,
                output=output,
                epoch=EPOCH,
                reports=report,
                on_product=announce,
            )
        if announce:
            assert told == [Artefact(partial / first.path.name, first.size_bytes, first.sha256), sha256_file(image)]
            assert not synced
    names = ("x.img" if compression == "none" else "x.img.zst", "x.packages", "dist")
    assert set(names) <= set(synced)
