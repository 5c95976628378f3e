# SPDX-License-Identifier: MIT
"""Artefacts: complete, the same bytes every time, given back by the journal."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from builder import log
from builder.artefact.files import Artefact, finish_artefact, make_artefact, open_partial, render_packages
from builder.compression import Compression
from builder.net import progress
from builder.system.checksums import sha256_file
from builder.system.workspace import RELEASERS, find_leftovers, open_journal, release
from builder.units import MIB
from tests.support.artefacts import ALL, EPOCH, PACKAGES, make, names, unpack
from tests.support.wait import wait_until


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
    output_stream = io.StringIO()
    with log.use(log.Json(output_stream)):
        make(image, output, Compression.GZ)
    events = [json.loads(line) for line in output_stream.getvalue().splitlines()]
    fractions = [event["data"]["fraction"] for event in events if event["kind"] == "progress"]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1
    assert fractions[-1] > 0.2


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
        wait_until((output / ".x.partial" / "x.img.xz").exists, "xz was not started")
        process.send_signal(signal.SIGKILL)
    assert names(output) == [".x.partial"]
    # Until xz has started, its process holds the lock too.
    wait_until(lambda: find_leftovers(state), "the journal of the killed build is still locked")
    (leftovers,) = find_leftovers(state)
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
    """Without a copy to another disk, all is on the disk before it has its name."""
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
    )
    announced: list[Artefact | str] = []

    def report(digest: str) -> list[Path]:
        announced.append(digest)
        return []

    for announce in (announced.append, None):
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
            assert announced == [
                Artefact(partial / first.path.name, first.size_bytes, first.sha256),
                sha256_file(image),
            ]
            assert not synced
    names = ("x.img" if compression == "none" else "x.img.zst", "x.packages", "dist")
    assert set(names) <= set(synced)
