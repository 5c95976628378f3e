# SPDX-License-Identifier: MIT
"""Two images of one name in one directory: the newer one says that it replaces the earlier one, reports and all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder import log
from builder.artefact.compress import Compression
from builder.artefact.earlier import remove_earlier
from builder.artefact.files import make_artefact
from builder.system.checksums import sha256_file
from tests.support.log import Heard

STEM = "boardwright-x-1"
ALL = {f"{STEM}{suffix}" for suffix in (".packages", ".specs.json", ".specs.xml", ".build.json")}


def build(place: Path, disk: str, compression: Compression = Compression.NONE, *, verified: bool = True) -> list[str]:
    """Hand out a disk with its reports as a build does; return the notes."""
    scratch = place / f"scratch-{disk}"
    scratch.mkdir(exist_ok=True)
    image = scratch / f"{STEM}.img"
    image.write_bytes(disk.encode() * 1000)
    record = scratch / f"{STEM}.build.json"
    record.write_text(json.dumps({"image_sha256": sha256_file(image)}), encoding="utf-8")
    reports = [scratch / f"{STEM}.specs.{kind}" for kind in ("json", "xml")] if verified else []
    for path in reports:
        path.write_text(disk, encoding="utf-8")
    notes = Heard("note")
    with log.use(notes):
        make_artefact(
            image,
            name=STEM,
            compression=compression,
            packages=[],
            output=place / "dist",
            epoch=0,
            reports=lambda _: (*reports, record),
        )
    return notes.kept


def find_names(place: Path) -> set[str]:
    return {path.name for path in (place / "dist").iterdir()}


@pytest.mark.machine
def test_other_content_in_another_compression_replaces_the_earlier_image(tmp_path: Path) -> None:
    assert build(tmp_path, "one") == []
    digest = sha256_file(tmp_path / f"dist/{STEM}.img")[:8]
    (note,) = build(tmp_path, "two", Compression.ZST)
    assert note == (
        f"removing {tmp_path}/dist/{STEM}.img (sha256 {digest}…) and its reports: the image of an earlier build,"
        " with other content"
    )
    assert find_names(tmp_path) == ALL | {f"{STEM}.img.zst", f"{STEM}.img.zst.sha256"}


@pytest.mark.machine
def test_the_same_disk_is_there_in_two_compressions(tmp_path: Path) -> None:
    build(tmp_path, "one")
    assert build(tmp_path, "one", Compression.ZST) == []
    assert {f"{STEM}.img", f"{STEM}.img.zst"} <= find_names(tmp_path)


def test_no_report_of_an_earlier_image_stays(tmp_path: Path) -> None:
    build(tmp_path, "one")
    assert build(tmp_path, "one", verified=False) == []
    assert find_names(tmp_path) >= ALL, "they are of this disk"
    (note,) = build(tmp_path, "two", verified=False)
    assert note.startswith(f"replacing {tmp_path}/dist/{STEM}.img (sha256 ")
    assert find_names(tmp_path) == {f"{STEM}{end}" for end in (".img", ".img.sha256", ".packages", ".build.json")}
    assert (tmp_path / f"dist/{STEM}.img").read_bytes() == b"two" * 1000


def test_what_no_record_describes_counts_as_another_image(tmp_path: Path) -> None:
    build(tmp_path, "one")
    (tmp_path / f"dist/{STEM}.img.sha256").unlink()
    (tmp_path / f"dist/{STEM}.build.json").write_bytes(b"\xff cut short")
    (tmp_path / f"dist/{STEM}-rc1.img").touch()
    (note,) = build(tmp_path, "one")
    assert note.startswith(f"replacing {tmp_path}/dist/{STEM}.img and its reports")
    assert f"{STEM}-rc1.img" in find_names(tmp_path)


def test_what_arrives_and_what_is_there_already_stay(tmp_path: Path) -> None:
    """As after a break: a part of the new files is there, and the record of the earlier image too."""
    build(tmp_path, "one")
    arriving = tmp_path / "arriving"
    arriving.mkdir()
    for name in (f"{STEM}.img.xz", f"{STEM}.build.json"):
        (arriving / name).write_text('{"image_sha256": "2"}')
    names = [f"{STEM}.img.xz", f"{STEM}.img.xz.sha256", f"{STEM}.build.json", f"{STEM}.packages"]
    with log.use(Heard("note")):
        remove_earlier(tmp_path / "dist", names, arriving)
    assert find_names(tmp_path) == {f"{STEM}.packages"}
    remove_earlier(tmp_path / "dist", ["notes.txt"], arriving)
    assert find_names(tmp_path) == {f"{STEM}.packages"}
