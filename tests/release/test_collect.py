# SPDX-License-Identifier: MIT
"""Only what is whole and proven is released, and all that is wrong is in one error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import RecipeError, ReleaseError
from builder.packaging.model import PackagedImage, Specs
from builder.packaging.tag import find_tag, load_tag
from builder.release.collect import Requirements
from tests.support.packaged import DIGEST, collect_files, make_package, ship, write_description


def demand(*boards: str, only: bool = False, signed: bool = False) -> Requirements:
    return Requirements(load_tag("v1.0"), boards, only=only, signed=signed)


def say(root: Path, wanted: Requirements) -> str:
    with pytest.raises(ReleaseError) as caught:
        collect_files(root, wanted)
    return caught.value.message


def change(root: Path, package: PackagedImage, **values: object) -> None:
    write_description(root, package.model_copy(update=values))


def test_what_is_whole_and_proven_is_taken(tmp_path: Path) -> None:
    make_package(tmp_path, "rpi", "v1.0")
    make_package(tmp_path, "qemu-arm64")
    (tmp_path / ".boardwright-x.partial").mkdir()
    checked = collect_files(tmp_path, demand("rpi", "qemu-arm64", signed=True))
    assert [image.board for image in checked] == ["qemu-arm64", "rpi"]
    assert [item.path.name.removeprefix("boardwright-rpi-v1.0") for item in checked[1].items] == [
        ".img.xz",
        ".packages",
        ".SHA256SUMS",
        ".manifest.json",
        ".manifest.json.minisig",
    ]


def test_the_specs_may_name_the_image_as_it_is_compressed(tmp_path: Path) -> None:
    package = make_package(tmp_path, "rpi")
    specs = Specs(passed=1, failed=0, skipped=0, levels=[], image_sha256=package.files[0].sha256)
    change(tmp_path, package, specs=specs)
    assert collect_files(tmp_path, demand("rpi"))


def test_boards_that_are_not_asked_for_stay_behind(tmp_path: Path) -> None:
    make_package(tmp_path, "rpi")
    package = make_package(tmp_path, "rpi5")
    change(tmp_path, package, specs=None)
    assert [image.board for image in collect_files(tmp_path, demand("rpi", only=True))] == ["rpi"]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    red = Specs(passed=599, failed=1, skipped=0, levels=["offline"], image_sha256="cd" * 32)
    change(tmp_path, make_package(tmp_path, "rpi", "2.0"), specs=red)
    change(tmp_path, make_package(tmp_path, "rpi5", signed=False), specs=None)
    (tmp_path / "empty").mkdir()
    message = say(tmp_path, demand("rpi", "rpi5", "qemu-arm64", signed=True))
    assert message.splitlines() == [
        "v1.0 is not released:",
        f"  - {tmp_path}/empty: found 0 files *.manifest.json; expected one",
        "  - qemu-arm64: its packaged image is missing",
        "  - rpi: version: found 2.0; expected 1.0, as in the tag",
        "  - rpi: 1 of its specs failed",
        "  - rpi: its specs were run on another image: found sha256 cdcdcdcdcdcd…; expected abababababab…",
        "  - rpi5: its specs were not run (--unverified allows this)",
        "  - rpi5: boardwright-rpi5-1.0.manifest.json is not signed",
    ]


def test_an_unverified_image_is_taken_where_that_is_asked_for(tmp_path: Path) -> None:
    change(tmp_path, make_package(tmp_path, "rpi"), specs=None)
    (image,) = collect_files(tmp_path, replace(demand("rpi"), unverified=True))
    assert image.released.image.specs is None
    red = Specs(passed=599, failed=1, skipped=0, levels=["offline"], image_sha256=DIGEST)
    change(tmp_path, image.released.image, specs=red)
    assert "rpi: 1 of its specs failed" in say(tmp_path, replace(demand("rpi"), unverified=True))


def test_specs_that_only_skipped_were_not_run(tmp_path: Path) -> None:
    specs = Specs(passed=0, failed=0, skipped=600, levels=[], image_sha256=DIGEST)
    change(tmp_path, make_package(tmp_path, "rpi"), specs=specs)
    assert "rpi: its specs were not run" in say(tmp_path, demand())


def test_damage_is_seen(tmp_path: Path) -> None:
    package = make_package(tmp_path, "rpi")
    place = tmp_path / package.name
    image, listing, sums = (place / file.name for file in package.files)
    content = image.read_bytes()
    image.write_bytes(b"x" + content[1:])
    listing.unlink()
    sums.write_bytes(b"short")
    (place / "boardwright-rpi-1.0.notes").write_text("who wrote this?")
    message = say(tmp_path, demand())
    assert "rpi: boardwright-rpi-1.0.img.xz: found sha256" in message
    assert "rpi: boardwright-rpi-1.0.packages: it is in the description, but the file is missing" in message
    assert "rpi: boardwright-rpi-1.0.SHA256SUMS: found 5 bytes; expected 27" in message
    assert "rpi: boardwright-rpi-1.0.notes: it is not in the description" in message


def test_a_link_is_no_file(tmp_path: Path) -> None:
    package = make_package(tmp_path, "rpi")
    image = tmp_path / package.name / package.files[0].name
    image.rename(tmp_path / "elsewhere")
    image.symlink_to(tmp_path / "elsewhere")
    assert "boardwright-rpi-1.0.img.xz: it is in the description, but the file is missing" in say(tmp_path, demand())


def test_names_must_fit_into_one_flat_place(tmp_path: Path) -> None:
    package = make_package(tmp_path, "rpi")
    change(tmp_path, package, files=[package.files[1], package.files[1]])
    message = say(tmp_path, demand())
    assert "boardwright-rpi-1.0.packages: it is in the description twice" in message
    assert "the description has no image" in message


def test_a_board_has_one_package(tmp_path: Path) -> None:
    make_package(tmp_path, "rpi")
    make_package(tmp_path / "other", "rpi")
    (tmp_path / "other" / "boardwright-rpi-1.0").rename(tmp_path / "again")
    (tmp_path / "other").rmdir()
    assert "rpi: found 2 packaged images; expected one" in say(tmp_path, demand())


def test_without_packages_there_is_nothing_to_release(tmp_path: Path) -> None:
    assert f"{tmp_path} contains no packaged image" in say(tmp_path, demand())
    with pytest.raises(ReleaseError, match="does not exist or is not a directory") as caught:
        collect_files(tmp_path / "nowhere", demand())
    assert "boardwright package" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "version", "prerelease"),
    [("v1.0", "1.0", False), ("1.0", "1.0", False), ("v1.0-rc1", "1.0-rc1", True), ("v2.1-beta.2", "2.1-beta.2", True)],
)
def test_a_tag_is_a_version(text: str, version: str, prerelease: bool) -> None:
    tag = load_tag(text)
    assert (tag.version, tag.prerelease) == (version, prerelease)


@pytest.mark.parametrize("text", ["nightly", "", "v1.0/x", "../v1", "version1", "v1.0 "])
def test_what_is_no_version_is_no_tag(text: str) -> None:
    assert find_tag(text) is None
    with pytest.raises(RecipeError, match="expected a version"):
        load_tag(text)


def test_a_release_has_the_files_of_all_boards(tmp_path: Path) -> None:
    make_package(tmp_path, "rpi")
    make_package(tmp_path, "rpi5", signed=False)
    assert [item.board for item in ship(tmp_path).items] == ["rpi"] * 5 + ["rpi5"] * 4
