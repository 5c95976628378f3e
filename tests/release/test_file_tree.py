# SPDX-License-Identifier: MIT
"""A release in a directory: complete before it is named, never changed after, and nothing lost by two at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.errors import ReleaseError, SpaceError, TrustError
from builder.packaging.model import Channel, Release, load_channel, load_release
from builder.packaging.tag import load_tag
from builder.release import directory as directories
from builder.release.channels import make_wish
from builder.release.directory import Directory
from builder.release.file_tree import ATTEMPTS, FileTreePublisher, find_before
from builder.release.publish import PublishRequest, TargetResult, dry_run, publish
from builder.system.atomic import PARTIAL
from tests.support.packaged import make_package, ship

NOW = datetime(2026, 11, 24, 20, 0, 0, 123, tzinfo=UTC)


@dataclass
class Site:
    """A directory that is released to, and packages made as they are needed."""

    root: Path

    @property
    def public(self) -> Path:
        return self.root / "public"

    def order(
        self, tag: str = "v1.0", *, seed: str = "", channels: tuple[str, ...] = (), back: bool = False
    ) -> PublishRequest:
        packages = self.root / f"packages-{tag}{seed}"
        if not packages.exists():
            load = load_tag(tag)
            for board in ("rpi", "qemu-arm64"):
                make_package(packages, board, load.version, seed=seed)
        wish = make_wish(load_tag(tag), channels, back=back)
        return PublishRequest(ship(packages, tag), wish, "https://x.example", self.root, lambda: NOW)

    def tree(self) -> FileTreePublisher:
        return FileTreePublisher(Directory(self.public), "https://x.example")

    def release(self, tag: str = "v1.0", *, seed: str = "") -> tuple[Release, list[TargetResult]]:
        return publish([self.tree()], self.order(tag, seed=seed))

    def channel(self, name: str) -> Channel:
        return load_channel((self.public / f"channels/{name}.json").read_bytes(), name)

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.public)): path.read_bytes()
            for path in sorted(self.public.rglob("*"))
            if path.is_file() and path.name != directories.LOCK
        }


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_release_is_its_files_its_description_and_channels(site: Site) -> None:
    release, (done,) = site.release()
    files = site.files()
    assert [name for name in files if "rpi" in name] == [
        "v1.0/rpi/boardwright-rpi-1.0.SHA256SUMS",
        "v1.0/rpi/boardwright-rpi-1.0.img.xz",
        "v1.0/rpi/boardwright-rpi-1.0.package.json",
        "v1.0/rpi/boardwright-rpi-1.0.package.json.minisig",
        "v1.0/rpi/boardwright-rpi-1.0.packages",
    ]
    assert load_release(files["v1.0/release.json"], "") == release
    assert release.date == NOW.replace(microsecond=0)
    assert release.url == "https://x.example"
    assert done.address == "https://x.example/v1.0/release.json"
    assert site.channel("stable").release == site.channel("latest").release == release
    assert (site.public / "v1.0/release.json").stat().st_mode & 0o777 == 0o644


def test_the_same_again_changes_nothing(site: Site) -> None:
    site.release()
    before = site.files()
    times = {path: path.stat().st_mtime_ns for path in site.public.rglob("*.*")}
    _, (done,) = site.release()
    assert {step.what for step in done.steps} == {"there"}
    assert site.files() == before
    assert {path: path.stat().st_mtime_ns for path in site.public.rglob("*.*")} == times


def test_a_released_tag_does_not_change(site: Site) -> None:
    site.release()
    before = site.files()
    with pytest.raises(ReleaseError, match=r"v1\.0 is published at dir:.* already, but qemu-arm64/.*differs") as caught:
        site.release(seed="other")
    assert "v1.0.1" in caught.value.hint
    assert site.files() == before


def test_a_board_is_not_added_to_a_released_tag(site: Site) -> None:
    site.release()
    order = site.order()
    fewer = replace(order, release_content=replace(order.release_content, checked=order.release_content.checked[:1]))
    with pytest.raises(ReleaseError, match="already, with other images: rpi"):
        publish([site.tree()], fewer)


def test_a_file_that_was_lost_is_missed(site: Site) -> None:
    site.release()
    (site.public / "v1.0/rpi/boardwright-rpi-1.0.packages").unlink()
    with pytest.raises(ReleaseError, match="is missing there"):
        site.release()


def test_what_a_broken_run_left_is_replaced(site: Site) -> None:
    place = site.public / "v1.0/rpi"
    place.mkdir(parents=True)
    (place / "boardwright-rpi-1.0.img.xz").write_bytes(b"of another build")
    (place / ".of-another-build.img.zst.partial").write_bytes(b"half")
    _, (done,) = site.release()
    assert [step.name for step in done.steps if step.what == "replace"] == ["rpi/boardwright-rpi-1.0.img.xz"]
    assert not list(site.public.rglob("*.partial"))


def test_a_link_for_an_unfinished_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "site").mkdir()
    (tmp_path / f"site/.release.json{PARTIAL}").symlink_to(tmp_path / "victim")
    Directory(tmp_path / "site").write("release.json", b"{}", mark=None, lasting=True)
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "site/release.json").read_bytes() == b"{}"


def test_without_doing_it_one_is_told_what_would_be_done(site: Site) -> None:
    (done,) = dry_run([site.tree()], site.order())
    assert (done.address, {step.what for step in done.steps}) == ("", {"send"})
    assert not site.public.exists()


def test_notes_compare_with_the_release_before(site: Site) -> None:
    for tag in ("v1.0-rc1", "v1.0", "v1.1-rc1"):
        site.release(tag)
    release, _ = site.release("v1.1")
    assert release.previous == "v1.0"
    assert "The packages are the same." in release.notes
    assert load_release(site.files()["v1.1-rc1/release.json"], "").previous == "v1.0"
    assert load_release(site.files()["v1.0/release.json"], "").previous == ""


def test_a_list_of_packages_that_was_changed_is_not_compared(site: Site) -> None:
    site.release()
    for path in site.public.rglob("*.packages"):
        path.write_text("lies")
    release, _ = site.release("v1.1")
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


def test_several_targets_show_the_same_release(site: Site, tmp_path: Path) -> None:
    first, _ = site.release()
    mirror = FileTreePublisher(Directory(tmp_path / "mirror"))
    later = replace(site.order(), now=lambda: datetime(2030, 1, 1, tzinfo=UTC))
    again, (_, second) = publish([site.tree(), mirror], later)
    assert again == first
    assert second.address == f"dir:{tmp_path}/mirror/v1.0/release.json"
    assert (tmp_path / "mirror/v1.0/release.json").read_bytes() == site.files()["v1.0/release.json"]


def test_a_target_that_differs_stops_all(site: Site, tmp_path: Path) -> None:
    mirror = FileTreePublisher(Directory(tmp_path / "mirror"))
    publish([mirror], site.order(seed="other"))
    with pytest.raises(ReleaseError, match=r"at dir:.*/mirror already"):
        publish([site.tree(), FileTreePublisher(Directory(tmp_path / "mirror"))], site.order())
    assert not site.public.exists()


# two at once


class Meddled(Directory):
    """A directory in which somebody else writes between reading and writing."""

    def __init__(self, path: Path, meddle: Callable[[str], None]) -> None:
        super().__init__(path)
        self._meddle = meddle

    def write(self, key: str, content: bytes, *, mark: str | None, lasting: bool) -> None:
        self._meddle(key)
        super().write(key, content, mark=mark, lasting=lasting)


def test_two_releases_at_once_are_both_remembered(site: Site) -> None:
    orders = [site.order(f"v1.{number}") for number in range(4)]
    threads = [threading.Thread(target=publish, args=([site.tree()], order)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("stable", "latest"):
        assert {entry.tag for entry in site.channel(name).history} == {"v1.0", "v1.1", "v1.2", "v1.3"}
        assert site.channel(name).release.tag == "v1.3"


def test_a_channel_that_never_stands_still_is_given_up(site: Site) -> None:
    count = [0]

    def meddle(key: str) -> None:
        if key.startswith("channels/"):
            count[0] += 1
            path = site.public / key
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(json.dumps(json.loads(before)).encode() + b" " * count[0])

    site.release("v0.9")
    before = (site.public / "channels/stable.json").read_bytes()
    with pytest.raises(ReleaseError, match=r"stable\.json was changed by other programs 20 times") as caught:
        publish([FileTreePublisher(Meddled(site.public, meddle))], site.order())
    assert (count[0], "run the same command again" in caught.value.hint) == (ATTEMPTS, True)
    site.release()
    assert site.channel("stable").release.tag == "v1.0"


def test_two_runs_of_one_tag_end_in_one_release(site: Site) -> None:
    def meddle(key: str) -> None:
        if key == "v1.0/release.json" and not (site.public / key).exists():
            site.release()

    publish([FileTreePublisher(Meddled(site.public, meddle))], site.order())
    assert [entry.tag for entry in site.channel("stable").history] == ["v1.0"]


def test_of_two_builds_of_one_tag_the_first_stays(site: Site) -> None:
    def meddle(key: str) -> None:
        if key == "v1.0/release.json" and not (site.public / key).exists():
            site.release(seed="other")

    with pytest.raises(ReleaseError, match=r"release\.json differs there"):
        publish([FileTreePublisher(Meddled(site.public, meddle))], site.order())


def test_of_two_runs_of_one_tag_channels_name_what_is_public(site: Site) -> None:
    def meddle(key: str) -> None:
        if key == "v1.0/release.json" and not (site.public / key).exists():
            publish([site.tree()], replace(site.order(), now=lambda: datetime(2030, 1, 1, tzinfo=UTC)))

    publish([FileTreePublisher(Meddled(site.public, meddle))], site.order())
    assert site.channel("stable").release == load_release(site.files()["v1.0/release.json"], "")


def test_a_file_that_another_run_replaces_before_the_release_is_shown_stops_it(site: Site) -> None:
    class Replaced(Directory):
        def tidy(self, folder: str) -> None:
            (site.public / "v1.0/rpi/boardwright-rpi-1.0.img.xz").write_bytes(b"of another build")

    with pytest.raises(ReleaseError, match=r"rpi/boardwright-rpi-1\.0\.img\.xz differs there"):
        publish([FileTreePublisher(Replaced(site.public))], site.order())
    assert "v1.0/release.json" not in site.files()


# a catalogue


def list_all(releases: Sequence[Release], channels: Sequence[Channel]) -> dict[str, bytes]:
    tags = sorted(release.tag for release in releases)
    named = {channel.channel: channel.release.tag for channel in channels}
    return {"list.json": json.dumps([tags, named]).encode(), "index.html": b"the same as ever"}


def test_a_catalogue_lists_all_releases_and_channels(site: Site) -> None:
    site.release("v0.9")
    publish([FileTreePublisher(Directory(site.public), catalogue=list_all)], site.order("v1.0", channels=("beta",)))
    named = {"beta": "v1.0", "latest": "v0.9", "stable": "v0.9"}
    assert json.loads(site.files()["list.json"]) == [["v0.9", "v1.0"], named]


def test_a_catalogue_that_is_right_is_left_alone(site: Site) -> None:
    publish([FileTreePublisher(Directory(site.public), catalogue=list_all)], site.order())
    times = {path: path.stat().st_mtime_ns for path in site.public.rglob("*.*")}
    publish([FileTreePublisher(Directory(site.public), catalogue=list_all)], site.order())
    assert {path: path.stat().st_mtime_ns for path in site.public.rglob("*.*")} == times


def test_of_two_releases_at_once_the_catalogue_has_both(site: Site) -> None:
    def meddle(key: str) -> None:
        if key == "list.json" and not (site.public / "v1.1").exists():
            publish([FileTreePublisher(Directory(site.public), catalogue=list_all)], site.order("v1.1"))

    publish([FileTreePublisher(Meddled(site.public, meddle), catalogue=list_all)], site.order("v1.0"))
    assert json.loads(site.files()["list.json"])[0] == ["v1.0", "v1.1"]


def test_a_catalogue_follows_channels_that_moved_while_it_was_written(site: Site) -> None:
    def meddle(key: str) -> None:
        if key == "index.html" and not (site.public / "v1.1").exists():
            site.release("v1.1")

    publish([FileTreePublisher(Meddled(site.public, meddle), catalogue=list_all)], site.order("v1.0"))
    assert json.loads(site.files()["list.json"])[0] == ["v1.0", "v1.1"]


def test_a_catalogue_that_others_always_change_is_given_up(site: Site) -> None:
    def meddle(key: str) -> None:
        if key == "list.json":
            path = site.public / key
            path.write_bytes(path.read_bytes() + b" " if path.exists() else b" ")

    with pytest.raises(ReleaseError, match="changed by other programs 20 times while the list of releases"):
        publish([FileTreePublisher(Meddled(site.public, meddle), catalogue=list_all)], site.order())
    assert site.channel("stable").release.tag == "v1.0"


# a directory


def test_a_file_that_changes_while_it_is_copied_is_refused(site: Site) -> None:
    order = site.order()
    order.release_content.items[0].path.write_bytes(b"changed")
    with pytest.raises(TrustError, match="changed while it was copied"):
        publish([site.tree()], order)
    assert site.files() == {}


def test_a_place_that_may_not_be_written_to_is_said(site: Site) -> None:
    site.public.write_text("a file")
    with pytest.raises(ReleaseError, match=f"--to dir:{site.public}: ") as caught:
        site.release()
    assert "is writable" in caught.value.hint


def test_a_full_disk_leaves_no_half_file(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", copy)
    with pytest.raises(SpaceError):
        site.release()
    assert site.files() == {}
