# SPDX-License-Identifier: MIT
"""Files taken from a container's layer on this machine: copied with their holes, and nothing but files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from docker import APIClient

from builder.artefact.files import Artefact
from builder.engine.docker.layer import find_layer, take_file
from builder.engine.docker.pack import GRAIN, PIECE_BYTES
from builder.engine.docker.receive import receive_from_layer
from builder.errors import Interrupted, ToolError, TrustError
from builder.system import sparse
from tests.support.container_files import CONTENTS, DATA


def test_a_layer_gives_copies_with_their_holes(made: list[Artefact], target: Path, tmp_path: Path) -> None:
    with (tmp_path / "source/hole").open("wb") as stream:
        stream.write(b"start")
        stream.seek(5 + 5 * PIECE_BYTES)
        stream.write(b"end")
    receive_from_layer(Path("/"), made, target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == CONTENTS
    assert (target / "hole").stat().st_blocks * 512 <= 4 * GRAIN
    assert not (target / "hole").samefile(made[0].path)


def test_a_copy_is_stopped_between_its_pieces(
    made: list[Artefact], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse, "PIECE_BYTES", GRAIN)
    answers = iter([False, False, True])

    def check() -> None:
        if next(answers):
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        receive_from_layer(Path("/"), made[3:], target, check)
    assert (target / "data").read_bytes()[: 2 * GRAIN] == DATA[: 2 * GRAIN]


def test_a_layer_has_the_announced_file(made: list[Artefact], target: Path) -> None:
    with made[3].path.open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(TrustError, match=f"data: found {len(CONTENTS['data']) + 1} bytes; expected"):
        receive_from_layer(Path("/"), made[3:], target)
    os.truncate(made[3].path, 5)
    os.truncate(made[3].path, len(CONTENTS["data"]))
    (target / "data").unlink()
    with pytest.raises(TrustError, match="arrived with sha256"):
        receive_from_layer(Path("/"), made[3:], target)


def test_a_copy_of_a_file_that_becomes_shorter_ends(
    made: list[Artefact], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sendfile", lambda *_: 0)
    with pytest.raises(OSError, match="became shorter"):
        take_file(Path("/"), made[3].path, target / "data")


def make_link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [make_link, make_pipe, Path.mkdir])
def test_only_a_file_is_taken_from_a_layer(tmp_path: Path, target: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "x")
    with pytest.raises(ToolError, match="/x: not found in the container"):
        take_file(tmp_path, Path("/x"), target / "x")
    assert not list(target.iterdir())


def test_no_path_leaves_a_layer(tmp_path: Path, target: Path) -> None:
    directory = tmp_path / "layer"
    directory.mkdir()
    (tmp_path / "x").write_text("outside")
    (directory / "up").symlink_to("..")
    for path in ("/../x", "/up/x", "/../../../../../../x", "/absent/../../x"):
        with pytest.raises(ToolError, match="not found in the container"):
            take_file(directory, Path(path), target / "x")
    assert not list(target.iterdir())


@pytest.mark.parametrize(
    ("name", "upper", "found"),
    [("overlay2", "layer", True), ("overlay2", "absent", False), ("overlay2", "", False), ("vfs", "layer", False)],
)
def test_a_layer_is_proved_by_what_was_put_into_it(tmp_path: Path, name: str, upper: str, found: bool) -> None:
    (tmp_path / "layer/build/boards").mkdir(parents=True)
    driver = {"Name": name, "Data": {"UpperDir": str(tmp_path / upper) if upper else ""}}
    engine = cast(APIClient, SimpleNamespace(inspect_container=lambda _: {"GraphDriver": driver}))
    assert find_layer(engine, "x", "/build/boards") == (tmp_path / upper if found else None)


def test_an_engine_without_graph_drivers_has_no_layer() -> None:
    engine = cast(APIClient, SimpleNamespace(inspect_container=lambda _: {}))
    assert find_layer(engine, "x", "/build/boards") is None
