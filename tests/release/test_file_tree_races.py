# SPDX-License-Identifier: MIT
"""Two releases into one directory at the same time: none is lost, and one of a tag stays."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from builder.errors import ReleaseError
from builder.packaging.model import load_release
from builder.release.directory import Directory
from builder.release.file_tree import ATTEMPTS, FileTreePublisher
from builder.release.publish import publish
from tests.support.directory_target import DirectoryTarget, Meddled, list_all


def test_two_releases_at_once_are_both_remembered(directory_target: DirectoryTarget) -> None:
    orders = [directory_target.order(f"v1.{number}") for number in range(4)]
    threads = [threading.Thread(target=publish, args=([directory_target.tree()], order)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("stable", "latest"):
        assert {entry.tag for entry in directory_target.channel(name).history} == {"v1.0", "v1.1", "v1.2", "v1.3"}
        assert directory_target.channel(name).release.tag == "v1.3"


def test_a_channel_that_never_stands_still_is_given_up(directory_target: DirectoryTarget) -> None:
    count = [0]

    def meddle(key: str) -> None:
        if key.startswith("channels/"):
            count[0] += 1
            path = directory_target.public / key
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(json.dumps(json.loads(before)).encode() + b" " * count[0])

    directory_target.release("v0.9")
    before = (directory_target.public / "channels/stable.json").read_bytes()
    with pytest.raises(ReleaseError, match=r"stable\.json was changed by other programs 20 times") as caught:
        publish([FileTreePublisher(Meddled(directory_target.public, meddle))], directory_target.order())
    assert (count[0], "run the same command again" in caught.value.hint) == (ATTEMPTS, True)
    directory_target.release()
    assert directory_target.channel("stable").release.tag == "v1.0"


def test_two_runs_of_one_tag_end_in_one_release(directory_target: DirectoryTarget) -> None:
    def meddle(key: str) -> None:
        if key == "v1.0/release.json" and not (directory_target.public / key).exists():
            directory_target.release()

    publish([FileTreePublisher(Meddled(directory_target.public, meddle))], directory_target.order())
    assert [entry.tag for entry in directory_target.channel("stable").history] == ["v1.0"]


def test_of_two_builds_of_one_tag_the_first_stays(directory_target: DirectoryTarget) -> None:
    def meddle(key: str) -> None:
        if key == "v1.0/release.json" and not (directory_target.public / key).exists():
            directory_target.release(seed="other")

    with pytest.raises(ReleaseError, match=r"release\.json differs there"):
        publish([FileTreePublisher(Meddled(directory_target.public, meddle))], directory_target.order())


def test_of_two_runs_of_one_tag_channels_name_what_is_public(directory_target: DirectoryTarget) -> None:
    def meddle(key: str) -> None:
        if key == "v1.0/release.json" and not (directory_target.public / key).exists():
            publish(
                [directory_target.tree()],
                replace(directory_target.order(), now=lambda: datetime(2030, 1, 1, tzinfo=UTC)),
            )

    publish([FileTreePublisher(Meddled(directory_target.public, meddle))], directory_target.order())
    assert directory_target.channel("stable").release == load_release(directory_target.files()["v1.0/release.json"], "")


def test_a_file_that_another_run_replaces_before_the_release_is_shown_stops_it(
    directory_target: DirectoryTarget,
) -> None:
    class Replaced(Directory):
        def tidy(self, folder: str) -> None:
            (directory_target.public / "v1.0/rpi/boardwright-rpi-1.0.img.xz").write_bytes(b"of another build")

    with pytest.raises(ReleaseError, match=r"rpi/boardwright-rpi-1\.0\.img\.xz differs there"):
        publish([FileTreePublisher(Replaced(directory_target.public))], directory_target.order())
    assert "v1.0/release.json" not in directory_target.files()


def test_of_two_releases_at_once_the_catalogue_has_both(directory_target: DirectoryTarget) -> None:
    def meddle(key: str) -> None:
        if key == "list.json" and not (directory_target.public / "v1.1").exists():
            publish(
                [FileTreePublisher(Directory(directory_target.public), catalogue=list_all)],
                directory_target.order("v1.1"),
            )

    publish(
        [FileTreePublisher(Meddled(directory_target.public, meddle), catalogue=list_all)],
        directory_target.order("v1.0"),
    )
    assert json.loads(directory_target.files()["list.json"])[0] == ["v1.0", "v1.1"]


def test_a_catalogue_follows_channels_that_moved_while_it_was_written(directory_target: DirectoryTarget) -> None:
    def meddle(key: str) -> None:
        if key == "index.html" and not (directory_target.public / "v1.1").exists():
            directory_target.release("v1.1")

    publish(
        [FileTreePublisher(Meddled(directory_target.public, meddle), catalogue=list_all)],
        directory_target.order("v1.0"),
    )
    assert json.loads(directory_target.files()["list.json"])[0] == ["v1.0", "v1.1"]


def test_a_catalogue_that_others_always_change_is_given_up(directory_target: DirectoryTarget) -> None:
    def meddle(key: str) -> None:
        if key == "list.json":
            path = directory_target.public / key
            path.write_bytes(path.read_bytes() + b" " if path.exists() else b" ")

    with pytest.raises(ReleaseError, match="changed by other programs 20 times while the list of releases"):
        publish(
            [FileTreePublisher(Meddled(directory_target.public, meddle), catalogue=list_all)], directory_target.order()
        )
    assert directory_target.channel("stable").release.tag == "v1.0"
