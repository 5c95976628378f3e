# SPDX-License-Identifier: MIT
"""A good signature of something else: fetch and check refuse it, with the same message."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.errors import BoardwrightError, TrustError
from builder.fetch.download import open_release
from builder.fetch.fetch import FetchRequest, fetch
from builder.fetch.sources import open_source
from builder.packaging.check import Findings, check_release
from builder.packaging.model import load_release, render
from builder.signing.signature import load_public_key
from tests.support.keys import MinisignKey
from tests.support.published import Published, Server

pytestmark = pytest.mark.machine


def call_it_another_board(tree: Path) -> str:
    """Have v9.9/rpi be the signed qemu-arm64 of v1.0."""
    shutil.copytree(tree / "v1.0/qemu-arm64", tree / "v9.9/rpi")
    release = json.loads((tree / "v1.0/release.json").read_text())
    boards = {"rpi": release["boards"]["qemu-arm64"]}
    (tree / "v9.9/release.json").write_text(json.dumps(release | {"tag": "v9.9", "version": "9.9", "boards": boards}))
    return "board: found qemu-arm64; expected rpi"


def call_it_newer(tree: Path) -> str:
    shutil.copytree(tree / "v1.0", tree / "v9.9")
    path = tree / "v9.9/release.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tag": "v9.9", "version": "9.9"}))
    return "version: found 1.0 in the description; expected 9.9, as in release.json"


def call_only_its_tag_newer(tree: Path) -> str:
    shutil.copytree(tree / "v1.0", tree / "v9.9")
    path = tree / "v9.9/release.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tag": "v9.9"}))
    return "version: found 1.0 in release.json; expected that of the tag v9.9"


def say_something_else_of_it(tree: Path) -> str:
    shutil.copytree(tree / "v1.0", tree / "v9.9")
    path = tree / "v9.9/release.json"
    path.write_text(path.read_text().replace('"v1.0"', '"v9.9"'))
    release = load_release(path.read_bytes(), path)
    package = release.boards["rpi"].image.model_copy(update={"title": "Another"})
    boards = release.boards | {"rpi": release.boards["rpi"].model_copy(update={"image": package})}
    path.write_bytes(render(release.model_copy(update={"boards": boards, "tag": "v1.0"})))
    shutil.rmtree(tree / "v1.0")
    (tree / "v9.9").rename(tree / "v1.0")
    return "release.json differs from the publisher's description of boardwright-rpi-1.0"


LIES: list[Callable[[Path], str]] = [
    call_it_another_board,
    call_it_newer,
    call_only_its_tag_newer,
    say_something_else_of_it,
]


def find_tag(tree: Path) -> str:
    return "v9.9" if (tree / "v9.9").exists() else "v1.0"


@pytest.mark.parametrize("lie", LIES)
def test_who_checks_a_release_is_told(
    lie: Callable[[Path], str], server: Server, signer: MinisignKey, tmp_path: Path
) -> None:
    message = lie(server.tree)
    place = f"{server.url}/{find_tag(server.tree)}/rpi"
    with open_release(place, tmp_path) as directory:
        findings = check_release(directory, signer.public_text)
    assert message in [problem.text for problem in findings.problems if problem.kind == "trust"]
    with pytest.raises(TrustError, match="the release has "):
        findings.check()


@pytest.mark.parametrize("lie", LIES)
def test_who_fetches_is_told(lie: Callable[[Path], str], server: Server, signer: MinisignKey, tmp_path: Path) -> None:
    message = lie(server.tree)
    wanted = FetchRequest("rpi", version=find_tag(server.tree), key=load_public_key(signer.public_text))
    with pytest.raises(TrustError) as caught:
        fetch(open_source(server.url), wanted, tmp_path / "out")
    assert message in caught.value.message
    assert not (tmp_path / "out").exists()


def check_here(published: Published, place: str) -> list[str]:
    findings: Findings = check_release(published.tree / place)
    return [problem.text for problem in findings.problems if "release.json" in problem.text]


def test_a_board_that_is_not_there_is_missed_in_a_whole_release_only(published: Published) -> None:
    assert check_here(published, "v1.0") == check_here(published, "v1.0/rpi") == []
    shutil.rmtree(published.tree / "v1.0/qemu-arm64")
    assert check_here(published, "v1.0") == ["release.json names the board qemu-arm64, but its directory is missing"]
    assert check_here(published, "v1.0/rpi") == []


def test_a_board_that_the_release_does_not_know_is_said(published: Published) -> None:
    path = published.tree / "v1.0/release.json"
    release = json.loads(path.read_text())
    del release["boards"]["rpi"]
    path.write_text(json.dumps(release))
    assert check_here(published, "v1.0/rpi") == ["release.json does not have the board rpi"]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("board", "../../../x"),
        ("board", "Rpi"),
        ("version", "1 \x1b[2J"),
        ("version", "../1"),
        ("name", "boardwright"),
        ("title", "a\nsigned by the key GOOD"),
        ("title", "a\u202eb"),
        ("features", ["::error::x"]),
        ("imager", ["<script>"]),
        ("partitions", [{"name": "a\nb", "filesystem": "ext4", "size_bytes": 1}]),
    ],
)
def test_hostile_text_in_a_description_is_refused(published: Published, key: str, text: Any) -> None:
    path = published.tree / "v1.0/release.json"
    release = json.loads(path.read_text())
    release["boards"]["rpi"]["image"][key] = text
    with pytest.raises(BoardwrightError) as caught:
        load_release(json.dumps(release).encode(), "there")
    assert caught.value.message.startswith("there: boards.rpi.image")
