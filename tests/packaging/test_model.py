# SPDX-License-Identifier: MIT
"""The description of a packaged image says all of it, and is refused where it says something else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.errors import ReleaseError
from builder.packaging.model import (
    SUFFIX,
    Channel,
    ChannelEntry,
    PackagedFile,
    PackagedImage,
    PackagedPartition,
    Release,
    Released,
    Specs,
    load_channel,
    load_packaged_image,
    load_release,
    render,
    render_package,
)

DIGEST = "ab" * 32
PACKAGE = PackagedImage(
    name="boardwright-rpi-1.0",
    board="rpi",
    title="Raspberry Pi",
    architecture="arm64",
    features=["wifi"],
    imager=["pi4-64bit"],
    version="1.0",
    epoch=1790000000,
    image_size_bytes=2**31,
    image_sha256=DIGEST,
    specs=Specs(passed=600, failed=0, skipped=12, levels=["offline"], image_sha256=DIGEST),
    partitions=[PackagedPartition(name="boot", filesystem="fat32", size_bytes=2**29, mount="/boot/firmware")],
    files=[PackagedFile(name="boardwright-rpi-1.0.img.xz", role="image", size_bytes=5, sha256=DIGEST)],
)
RELEASE = Release(
    tag="v1.0",
    version="1.0",
    prerelease=False,
    date=datetime(2026, 11, 24, 19, 0, tzinfo=UTC),
    notes="# The first\n",
    boards={
        "rpi": Released(
            image=PACKAGE,
            signed=[
                PackagedFile(name="boardwright-rpi-1.0.manifest.json", role="manifest", size_bytes=5, sha256=DIGEST)
            ],
        )
    },
)
ENTRY = ChannelEntry(tag="v1.0", version="1.0", date=RELEASE.date, boards=["rpi"])
CHANNEL = Channel(channel="stable", release=RELEASE, history=[ENTRY])


def write(directory: Path, text: str) -> Path:
    (directory / f"{PACKAGE.name}{SUFFIX}").write_text(text)
    return directory


def test_a_description_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert load_packaged_image(write(tmp_path, render_package(PACKAGE))) == PACKAGE


def test_a_directory_without_a_description_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"found 0 files \*\.manifest\.json") as caught:
        load_packaged_image(tmp_path)
    assert "boardwright package" in caught.value.hint


ODD = {"name": "../x", "role": "image", "size_bytes": 1, "sha256": DIGEST}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, "format: Input should be 1"),
        ({"epoch": 10**20}, "epoch: Input should be less than or equal to 253402300799"),
        ({"image_size_bytes": 10**400}, "image_size_bytes: Input should be less than"),
        ({"image_size_bytes": "5"}, "image_size_bytes: Input should be a valid integer"),
        ({"image_sha256": "no"}, "image_sha256: found .*; expected 64 hex digits"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"name": "boardwright-rpi"}, "the file: found the name 'boardwright-rpi'; expected boardwright-rpi-1.0"),
        ({"name": "pytest", "files": []}, "the file: found the name 'pytest'; expected boardwright-rpi-1.0"),
        ({"board": "../../x"}, "board: found '../../x'; expected the name of a board"),
        ({"board": "rpi5"}, "expected boardwright-rpi5-1.0"),
        ({"title": "a\x1b]0;x"}, "title: found .*; expected text on one line"),
        ({"files": [ODD | {"name": "pytest.py"}]}, "found the file 'pytest.py'; expected a name that begins with"),
        (
            {"files": [ODD | {"name": "boardwright-rpi-1.00.img"}]},
            "expected a name that begins with boardwright-rpi-1.0.",
        ),
        (
            {"files": [ODD]},
            r"files\.0\.name: found '\.\./x'; expected letters",
        ),
    ],
)
def test_a_wrong_description_is_refused_with_the_place(tmp_path: Path, change: dict[str, object], problem: str) -> None:
    text = json.dumps(json.loads(render_package(PACKAGE)) | change)
    with pytest.raises(ReleaseError, match=problem):
        load_packaged_image(write(tmp_path, text))


def test_a_release_and_a_channel_are_read_as_they_were_written() -> None:
    assert load_release(render(RELEASE), "here") == RELEASE
    assert load_channel(render(CHANNEL), "here") == CHANNEL
    assert [each.name for each in RELEASE.boards["rpi"].files] == [
        "boardwright-rpi-1.0.img.xz",
        "boardwright-rpi-1.0.manifest.json",
    ]


def test_a_description_of_before_partitions_were_said_is_still_read(tmp_path: Path) -> None:
    data = json.loads(render_package(PACKAGE))
    del data["partitions"]
    assert load_packaged_image(write(tmp_path, json.dumps(data))).partitions == []


def test_a_wrong_release_is_refused_with_the_place() -> None:
    with pytest.raises(ReleaseError, match="here: the file: Invalid JSON") as caught:
        load_release(b"", "here")
    assert "newer boardwright" in caught.value.hint
    text = render(CHANNEL).replace(b'"stable"', b'"../stable"')
    with pytest.raises(ReleaseError, match=r"there: channel: found '../stable'; expected lower-case"):
        load_channel(text, "there")


@pytest.mark.parametrize("date", ["2026-11-24T19:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_cannot_be_compared_is_refused(date: str) -> None:
    text = render(CHANNEL).replace(b"2026-11-24T19:00:00Z", date.encode())
    with pytest.raises(ReleaseError, match=r"there: release\.date: Input should "):
        load_channel(text, "there")


def test_a_hostile_place_is_said_on_one_line() -> None:
    with pytest.raises(ReleaseError) as caught:
        load_release(b"{}", "a\n\x1b[2J")
    assert caught.value.message == r"a\n\x1b[2J: tag: Field required"
