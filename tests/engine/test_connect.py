# SPDX-License-Identifier: MIT
"""Which Engine is found, and what is said when there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import requests
from docker.errors import APIError, DockerException

from builder.engine import connect
from builder.engine.connect import choose_engine, engine_errors, open_engine
from builder.errors import BusyError, MachineError, SpaceError, ToolError


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")


@pytest.mark.engine
def test_an_engine_that_answers_is_chosen() -> None:
    assert choose_engine("auto") == "docker"
    assert choose_engine("docker") == "docker"


@pytest.mark.machine
def test_without_one_this_machine_is_chosen(no_engine: None) -> None:
    assert choose_engine("auto") == "local"
    assert choose_engine("local") == "local"


def test_docker_that_was_asked_for_must_answer(no_engine: None) -> None:
    with pytest.raises(MachineError, match=r"tcp://127\.0\.0\.1:9: connection refused") as caught:
        choose_engine("docker")
    assert "apt-get install docker.io" in caught.value.hint


def test_a_machine_that_can_do_neither_says_so(
    no_engine: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="no Docker Engine answers, and this is not a Debian-like Linux"):
        choose_engine("auto")
    with pytest.raises(MachineError, match="not a Debian-like Linux"):
        choose_engine("local")


def test_only_root_builds_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MachineError, match="not root"):
        choose_engine("local")


def test_no_socket_is_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(connect, "SOCKETS", (str(tmp_path / "absent"),))
    with pytest.raises(MachineError, match="no socket found"), open_engine():
        pass


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (APIError("x", explanation="write /x: no space left on device"), SpaceError),
        (APIError("x", explanation="invalid mode"), ToolError),
        (DockerException("broken"), MachineError),
        (requests.ConnectionError("gone"), MachineError),
        (BusyError("ours"), BusyError),
    ],
)
def test_what_the_sdk_raises_is_explained(raised: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind), engine_errors("testing"):
        raise raised
