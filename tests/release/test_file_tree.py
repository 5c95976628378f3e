# SPDX-License-Identifier: MIT
"""A release in a directory: complete before it is named, and never changed after."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.errors import ReleaseError, SpaceError, TrustError
from builder.packaging.model import load_release
from builder.packaging.tag import load_tag
from builder.release.directory import Directory
from builder.release.file_tree import FileTreePublisher, find_before
from builder.release.publish import dry_run, publish
from builder.system.atomic import PARTIAL
from tests.support.directory_target import NOW, DirectoryTarget, list_all


def test_a_release_is_its_files_its_description_and_channels(directory_target: DirectoryTarget) -> None:
    release, (done,) = directory_target.release()
    files = directory_target.files()
    assert [name for name in files if "rpi" in name] == [
        "v1.0/rpi/boardwright-rpi-1.0.SHA256SUMS",
        "v1.0/rpi/boardwright-rpi-1.0.img.xz",
        "v1.0/rpi/boardwright-rpi-1.0.manifest.json",
        "v1.0/rpi/boardwright-rpi-1.0.manifest.json.minisig",
        "v1.0/rpi/boardwright-rpi-1.0.packages",
    ]
    assert load_release(files["v1.0/release.json"], "") == release
    assert release.date == NOW.replace(microsecond=0)
    assert release.url == "https://x.example"
    assert done.address == "https://x.example/v1.0/release.json"
    assert directory_target.channel("stable").release == directory_target.channel("latest").release == release
    assert (directory_target.public / "v1.0/release.json").stat().st_mode & 0o777 == 0o644


def test_the_same_again_changes_nothing(directory_target: DirectoryTarget) -> None:
    directory_target.release()
    before = directory_target.files()
    times = {path: path.stat().st_mtime_ns for path in directory_target.public.rglob("*.*")}
    _, (done,) = directory_target.release()
    assert {step.what for step in done.steps} == {"there"}
    assert directory_target.files() == before
    assert {path: path.stat().st_mtime_ns for path in directory_target.public.rglob("*.*")} == times


def test_a_released_tag_does_not_change(directory_target: DirectoryTarget) -> None:
    directory_target.release()
    before = directory_target.files()
    with pytest.raises(ReleaseError, match=r"v1\.0 is published at dir:.* already, but qemu-arm64/.*differs") as caught:
        directory_target.release(seed="other")
    assert "v1.0.1" in caught.value.hint
    assert directory_target.files() == before


def test_a_board_is_not_added_to_a_released_tag(directory_target: DirectoryTarget) -> None:
    directory_target.release()
    order = directory_target.order()
    fewer = replace(order, release_content=replace(order.release_content, checked=order.release_content.checked[:1]))
    with pytest.raises(ReleaseError, match="already, with other images: rpi"):
        publish([directory_target.tree()], fewer)


def test_a_file_that_was_lost_is_missed(directory_target: DirectoryTarget) -> None:
    directory_target.release()
    (directory_target.public / "v1.0/rpi/boardwright-rpi-1.0.packages").unlink()
    with pytest.raises(ReleaseError, match="is missing there"):
        directory_target.release()


def test_what_a_broken_run_left_is_replaced(directory_target: DirectoryTarget) -> None:
    place = directory_target.public / "v1.0/rpi"
    place.mkdir(parents=True)
    (place / "boardwright-rpi-1.0.img.xz").write_bytes(b"of another build")
    (place / ".of-another-build.img.zst.partial").write_bytes(b"half")
    _, (done,) = directory_target.release()
    assert [step.name for step in done.steps if step.what == "replace"] == ["rpi/boardwright-rpi-1.0.img.xz"]
    assert not list(directory_target.public.rglob("*.partial"))


def test_a_link_for_an_unfinished_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "site").mkdir()
    (tmp_path / f"site/.release.json{PARTIAL}").symlink_to(tmp_path / "victim")
    Directory(tmp_path / "site").write("release.json", b"{}", mark=None, lasting=True)
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "site/release.json").read_bytes() == b"{}"


def test_without_doing_it_one_is_told_what_would_be_done(directory_target: DirectoryTarget) -> None:
    (done,) = dry_run([directory_target.tree()], directory_target.order())
    assert (done.address, {step.what for step in done.steps}) == ("", {"send"})
    assert not directory_target.public.exists()


def test_notes_compare_with_the_release_before(directory_target: DirectoryTarget) -> None:
    for tag in ("v1.0-rc1", "v1.0", "v1.1-rc1"):
        directory_target.release(tag)
    release, _ = directory_target.release("v1.1")
    assert release.previous == "v1.0"
    assert "The packages are the same." in release.notes
    assert load_release(directory_target.files()["v1.1-rc1/release.json"], "").previous == "v1.0"
    assert load_release(directory_target.files()["v1.0/release.json"], "").previous == ""


def test_a_list_of_packages_that_was_changed_is_not_compared(directory_target: DirectoryTarget) -> None:
    directory_target.release()
    for path in directory_target.public.rglob("*.packages"):
        path.write_text("lies")
    release, _ = directory_target.release("v1.1")
    assert "packages" not in release.notes.replace(".packages", "")


@pytest.mark.parametrize(
    ("tag", "tags", "before"),
    [
        ("v1.0", [], ""),
        ("v1.1", ["v1.0", "v1.1", "v1.2", "v0.9", "nightly"], "v1.0"),
        ("v1.1", ["v1.0", "v1.1-rc1"], "v1.0"),
        ("v1.1-rc2", ["v1.0", "v1.1-rc1"], "v1.1-rc1"),
        ("v1.10", ["v1.9", "v1.2"], "v1.9"),
    ],
)
def test_the_release_before_is_the_newest_older_one(tag: str, tags: list[str], before: str) -> None:
    assert find_before(load_tag(tag), tags) == before


def test_several_targets_show_the_same_release(directory_target: DirectoryTarget, tmp_path: Path) -> None:
    first, _ = directory_target.release()
    mirror = FileTreePublisher(Directory(tmp_path / "mirror"))
    later = replace(directory_target.order(), now=lambda: datetime(2030, 1, 1, tzinfo=UTC))
    again, (_, second) = publish([directory_target.tree(), mirror], later)
    assert again == first
    assert second.address == f"dir:{tmp_path}/mirror/v1.0/release.json"
    assert (tmp_path / "mirror/v1.0/release.json").read_bytes() == directory_target.files()["v1.0/release.json"]


def test_a_target_that_differs_stops_all(directory_target: DirectoryTarget, tmp_path: Path) -> None:
    mirror = FileTreePublisher(Directory(tmp_path / "mirror"))
    publish([mirror], directory_target.order(seed="other"))
    with pytest.raises(ReleaseError, match=r"at dir:.*/mirror already"):
        publish([directory_target.tree(), FileTreePublisher(Directory(tmp_path / "mirror"))], directory_target.order())
    assert not directory_target.public.exists()


def test_a_catalogue_lists_all_releases_and_channels(directory_target: DirectoryTarget) -> None:
    directory_target.release("v0.9")
    publish(
        [FileTreePublisher(Directory(directory_target.public), catalogue=list_all)],
        directory_target.order("v1.0", channels=("beta",)),
    )
    named = {"beta": "v1.0", "latest": "v0.9", "stable": "v0.9"}
    assert json.loads(directory_target.files()["list.json"]) == [["v0.9", "v1.0"], named]


def test_a_catalogue_that_is_right_is_left_alone(directory_target: DirectoryTarget) -> None:
    publish([FileTreePublisher(Directory(directory_target.public), catalogue=list_all)], directory_target.order())
    times = {path: path.stat().st_mtime_ns for path in directory_target.public.rglob("*.*")}
    publish([FileTreePublisher(Directory(directory_target.public), catalogue=list_all)], directory_target.order())
    assert {path: path.stat().st_mtime_ns for path in directory_target.public.rglob("*.*")} == times


def test_a_file_that_changes_while_it_is_copied_is_refused(directory_target: DirectoryTarget) -> None:
    order = directory_target.order()
    order.release_content.items[0].path.write_bytes(b"changed")
    with pytest.raises(TrustError, match="changed while it was copied"):
        publish([directory_target.tree()], order)
    assert directory_target.files() == {}


def test_a_place_that_may_not_be_written_to_is_said(directory_target: DirectoryTarget) -> None:
    directory_target.public.write_text("a file")
    with pytest.raises(ReleaseError, match=f"--to dir:{directory_target.public}: ") as caught:
        directory_target.release()
    assert "is writable" in caught.value.hint


def test_a_full_disk_leaves_no_half_file(directory_target: DirectoryTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", copy)
    with pytest.raises(SpaceError):
        directory_target.release()
    assert directory_target.files() == {}
