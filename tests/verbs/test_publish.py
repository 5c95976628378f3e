# SPDX-License-Identifier: MIT
"""`boardwright release` as users and programs call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.packaging.model import load_release
from builder.release.file_tree import FileTreePublisher
from builder.release.github import GitHubPublisher
from builder.release.target import PublisherConfig
from builder.release.targets import make_publishers
from tests.support.bucket import ENVIRONMENT
from tests.support.packaged import make_package
from tests.test_cli import Done, call, check_error


def release(root: Path, *words: str, tag: str = "v1.0", **env: str) -> Done:
    places: list[str | Path] = ["--packaged", root / "release", "--to", f"dir:{root}/public"]
    return call("release", tag, *places, *words, cwd=root, module="tests.support.any_content", **env)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_package(tmp_path / "release", "rpi")
    make_package(tmp_path / "release", "rpi5", signed=False)
    return tmp_path


def test_the_address_of_the_release_is_the_result(root: Path) -> None:
    done = release(root, "--board", "rpi", "--public-url", "https://images.example/os/")
    assert (done.returncode, done.stdout) == (0, "https://images.example/os/v1.0/release.json\n"), done.stderr
    assert "channel stable is v1.0" in done.stderr
    found = load_release((root / "public/v1.0/release.json").read_bytes(), "")
    assert (list(found.boards), found.url) == (["rpi"], "https://images.example/os")


def test_programs_read_what_became_of_each_file(root: Path) -> None:
    done = release(root, "--board", "rpi", "--board", "rpi5", "--json")
    assert done.returncode == 0
    (result,) = [event for line in done.stdout.splitlines() if (event := json.loads(line))["kind"] == "result"]
    assert result["text"] == "v1.0"
    assert result["data"]["channels"] == ["stable", "latest"]
    (target,) = result["data"]["targets"]
    assert target["address"] == f"dir:{root}/public/v1.0/release.json"
    assert len(target["files"]) == 9
    assert {file["what"] for file in target["files"]} == {"send"}


def test_a_dry_run_shows_what_would_be_done_and_does_nothing(root: Path) -> None:
    done = release(root, "--board", "rpi", "--dry-run")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1 + 5
    rows = [" ".join(line.split()[1:]) for line in done.stdout.splitlines()]
    assert "rpi/boardwright-rpi-1.0.img.xz 2.9 KiB would be uploaded" in rows
    assert "would update the channels stable, latest" in done.stderr
    assert not (root / "public").exists()


def test_every_board_of_the_repository_is_expected(root: Path) -> None:
    for name in ("rpi", "riscv"):
        (root / "boards" / name).mkdir(parents=True)
        (root / "boards" / name / "board.yaml").touch()
    check_error(release(root, "--boards", "boards"), 11, "riscv: its packaged image is missing", "--board")


def test_what_is_not_signed_is_refused_when_that_is_asked_for(root: Path) -> None:
    done = release(root, "--board", "rpi5", "--require-signature")
    check_error(done, 11, "boardwright-rpi5-1.0.manifest.json is not signed")


def test_channels_are_those_that_are_named(root: Path) -> None:
    assert release(root, "--board", "rpi", "--channel", "beta").returncode == 0
    assert [path.name for path in (root / "public/channels").iterdir()] == ["beta.json"]


@pytest.mark.parametrize(
    ("words", "tag", "message"),
    [
        (["--to", "ftp:somewhere"], "v1.0", "found 'ftp:somewhere'; expected"),
        (["--to", "s3://joe:hunter2@bucket"], "v1.0", "--to: has a user or a key in it"),
        (["--to", "s4://joe:hunter2@bucket"], "v1.0", "found 's4://***@bucket'; expected"),
        (["--to", "github:octo"], "v1.0", "found 'github:octo'; expected"),
        (["--to", "github:octo/images"], "v1.0", "there is no token to write with"),
        (["--to", "dir:"], "v1.0", "found 'dir:'; expected"),
        (["--public-url", "images.example"], "v1.0", "--public-url must be an http"),
        (["--channel", "stable"], "v1.0-rc1", "found stable for the pre-release"),
        ([], "nightly", "found 'nightly'; expected a version"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_done(
    root: Path, words: list[str], tag: str, message: str
) -> None:
    done = release(root, "--board", "rpi", *words, tag=tag, GITHUB_TOKEN="", GH_TOKEN="")
    check_error(done, 3, message)
    assert "hunter2" not in done.stderr
    assert not (root / "public").exists()


def test_targets_are_published_in_one_order_and_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "GITHUB_TOKEN": "t"}.items():
        monkeypatch.setenv(name, value)
    texts = [f"dir:{tmp_path}", "s3://bucket/os", "github:octo/images", "s3://bucket/os"]
    made = make_publishers(texts, PublisherConfig())
    assert [each.name for each in made] == ["github:octo/images", "s3://bucket/os", f"dir:{tmp_path}"]
    assert [type(each) for each in made] == [GitHubPublisher, FileTreePublisher, FileTreePublisher]


def test_a_release_needs_a_target() -> None:
    with pytest.raises(RecipeError, match="--to: missing"):
        make_publishers([], PublisherConfig())
