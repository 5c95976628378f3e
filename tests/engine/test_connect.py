# SPDX-License-Identifier: MIT
"""Which Engine is found, and what is said when there is none."""

from __future__ import annotations

import grp
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from docker.errors import APIError, DockerException

from builder.engine import connect
from builder.engine.admission import render_admission
from builder.engine.connect import Wanted, choose_engine, engine_errors, open_engine
from builder.engine.doctor import examine
from builder.errors import BusyError, MachineError, SpaceError, ToolError

NOBODY = 65534


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
    with pytest.raises(
        MachineError, match=r"no Docker Engine answers \(tcp.*not possible: this is not a Debian-like Linux"
    ):
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


@pytest.fixture
def refusing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A socket that only root and one group may use, and a user who is neither for as long as the test lasts."""
    path = tmp_path / "docker.sock"
    for directory in (tmp_path, *tmp_path.parents):
        if directory.is_relative_to(tempfile.gettempdir()) and directory != Path(tempfile.gettempdir()):
            directory.chmod(0o755)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setattr(connect, "SOCKETS", (str(path),))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        os.chown(path, 0, grp.getgrnam("adm").gr_gid)
        path.chmod(0o660)
        groups = os.getgroups()
        os.setgroups([])
        os.seteuid(NOBODY)
        try:
            yield path
        finally:
            os.seteuid(0)
            os.setgroups(groups)


@pytest.mark.machine
@pytest.mark.parametrize("wanted", ["auto", "docker"])
def test_a_socket_that_refuses_says_how_to_get_in(refusing: Path, wanted: Wanted) -> None:
    with pytest.raises(MachineError, match=rf"may not use it \(unix://{refusing}: permission denied\)") as caught:
        choose_engine(wanted)
    assert caught.value.hint == "sudo usermod -aG adm nobody, then log in again; or call it with sudo"


@pytest.mark.machine
def test_the_doctor_says_so_too(refusing: Path, tmp_path: Path) -> None:
    (engine, *_) = examine(tmp_path)
    assert not engine.ok
    assert engine.text.startswith("a Docker Engine is there, but this user may not use it")
    assert engine.fix.startswith("sudo usermod -aG adm nobody")


@pytest.mark.machine
def test_who_joined_the_group_since_the_last_login_logs_in_again(
    refusing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adm = grp.getgrnam("adm")
    monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group((adm.gr_name, "x", adm.gr_gid, ["nobody"])))
    assert (
        render_admission(refusing)
        == "log in again: you are in the group adm since your last login; or call it with sudo"
    )


@pytest.mark.machine
def test_nothing_to_join_leaves_sudo(refusing: Path, tmp_path: Path) -> None:
    os.seteuid(0)
    os.chown(refusing, 0, 0)
    assert render_admission(refusing) == render_admission(tmp_path / "absent") == "call it with sudo"
    os.chown(refusing, 0, 54321)  # A group without a name.
    assert render_admission(refusing) == "call it with sudo"


@pytest.mark.machine
def test_a_socket_in_another_users_directory_is_none(refusing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.seteuid(0)
    refusing.parent.chmod(0o700)
    os.seteuid(NOBODY)
    with pytest.raises(MachineError, match="no socket found"):
        choose_engine("docker")


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
