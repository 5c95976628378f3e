# SPDX-License-Identifier: MIT
"""What several boards share with an Engine: one builder image, and as many builds as its machine is good for."""

from __future__ import annotations

from pathlib import Path

import pytest
from docker import APIClient

from builder.choices import Engine
from builder.engine import several
from builder.engine.several import BUILD_BYTES, BoardResult, build_several, first_error
from builder.errors import DownloadError, MachineError, RecipeError, ToolError
from builder.log import Sink
from builder.request import BuildRequest, make_request
from tests.support.log import Heard


@pytest.fixture
def requests(tmp_path: Path) -> list[BuildRequest]:
    paths = {"boards": tmp_path / "boards", "state": tmp_path / "state", "output": tmp_path / "dist"}
    return [make_request(board=name, version="1", epoch=1, **paths) for name in ("a", "b")]


@pytest.mark.engine
def test_the_builder_image_is_made_once_and_the_engines_machine_counts(
    requests: list[BuildRequest], api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[APIClient] = []
    monkeypatch.setattr(several, "make_builder_image", made.append)
    ready, room = several._prepare(requests)
    info = api.info()
    assert len(made) == 1
    assert [each.engine for each in ready] == [Engine.DOCKER] * 2
    assert room == max(1, min(info["NCPU"], info["MemTotal"] // BUILD_BYTES))


def test_without_an_engine_nothing_is_begun(
    requests: list[BuildRequest], monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")

    def row_of(board: str) -> Sink:
        raise AssertionError(board)

    with pytest.raises(MachineError):
        build_several(requests, jobs=0, row_of=row_of)


def test_a_process_without_a_result_is_an_error_of_its_board(
    requests: list[BuildRequest], monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setattr(several, "_prepare", lambda given: (given, 1))
    monkeypatch.setattr(several, "_argv", lambda path: ["sh", "-c", f"echo {path.stem} says; test {path.stem} = a"])
    ended = build_several(requests, jobs=0, row_of=lambda _: heard)
    assert [(each.board, type(each.error)) for each in ended] == [("a", ToolError), ("b", ToolError)]
    assert "ended without a result" in str(ended[0].error)
    assert "the build's process ended with exit code 1; its last lines:\n  | b says" in str(ended[1].error)
    assert [event.data["exit_code"] for event in heard.events if event.kind == "error"] == [7, 7]


def test_the_first_in_order_gives_the_kind() -> None:
    ended = [BoardResult("a"), BoardResult("b", error=DownloadError("x")), BoardResult("c", error=RecipeError("y"))]
    error = first_error(ended)
    assert type(error) is DownloadError
    assert str(error) == "2 of 3 boards failed: b (download), c (recipe)"
    assert first_error(ended[:1]) is None
