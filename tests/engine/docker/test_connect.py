# SPDX-License-Identifier: MIT
"""The Engine that is found, and the error when there is none."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from docker import APIClient
from docker.errors import APIError, DockerException

from builder.choices import Engine
from builder.doctor.doctor import examine
from builder.engine.docker import connect
from builder.engine.docker.access import render_admission
from builder.engine.docker.connect import choose_engine, engine_errors, open_engine
from builder.engine.docker.named import find_named
from builder.errors import BusyError, MachineError, SpaceError, ToolError

NOBODY = 65534


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")


@pytest.mark.engine
def test_an_engine_that_answers_is_chosen() -> None:
    assert choose_engine(Engine.AUTO) == Engine.DOCKER
    assert choose_engine(Engine.DOCKER) == Engine.DOCKER


@pytest.fixture
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing names an Engine; return the directory of docker's configuration."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(connect, "SOCKETS", (str(tmp_path / "absent"),))
    (tmp_path / "docker").mkdir()
    return tmp_path / "docker"


@pytest.mark.machine
def test_without_one_this_machine_is_chosen(nothing_named: Path) -> None:
    assert choose_engine(Engine.AUTO) == Engine.LOCAL
    assert choose_engine(Engine.LOCAL) == Engine.LOCAL


def write_context(directory: Path, name: str, host: str) -> None:
    meta = directory / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": False}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))


@pytest.mark.parametrize("wanted", [Engine.AUTO, Engine.DOCKER])
@pytest.mark.parametrize("by", ["DOCKER_HOST", "DOCKER_CONTEXT", "config.json"])
def test_one_that_is_named_must_answer(
    nothing_named: Path, monkeypatch: pytest.MonkeyPatch, by: str, wanted: Engine
) -> None:
    write_context(nothing_named, "remote", "tcp://127.0.0.1:9")
    if by == "config.json":
        (nothing_named / "config.json").write_text('{"currentContext": "remote", "auths": {}}')
    else:
        monkeypatch.setenv(by, "tcp://127.0.0.1:9" if by == "DOCKER_HOST" else "remote")
    with pytest.raises(MachineError, match=rf"tcp://127\.0\.0\.1:9: connection refused\); .*it is set by .*{by}"):
        choose_engine(wanted)


def test_the_environment_comes_before_the_context(nothing_named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_context(nothing_named, "remote", "tcp://127.0.0.1:9")
    (nothing_named / "config.json").write_text('{"currentContext": "other"}')
    monkeypatch.setenv("DOCKER_CONTEXT", "remote")
    named = find_named()
    assert named
    assert (named.by, named.arguments["base_url"]) == ("DOCKER_CONTEXT (remote)", "tcp://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:10")
    named = find_named()
    assert named
    assert (named.by, named.arguments["base_url"]) == ("DOCKER_HOST", "tcp://127.0.0.1:10")


@pytest.mark.parametrize("text", [None, "{}", '{"currentContext": "default"}', '{"auths": {"x": {}}}'])
def test_nothing_is_named(nothing_named: Path, text: str | None) -> None:
    if text is not None:
        (nothing_named / "config.json").write_text(text)
    assert find_named() is None


@pytest.mark.parametrize(("text", "words"), [("[]", "not a valid file"), ("{", "not a valid file"), ("", "no")])
def test_a_configuration_that_is_none(nothing_named: Path, text: str, words: str) -> None:
    (nothing_named / "config.json").write_text(text)
    with pytest.raises(MachineError, match=words) as caught:
        choose_engine(Engine.AUTO)
    assert "DOCKER_CONFIG" in caught.value.hint


@pytest.mark.parametrize("meta", [None, "[]", '{"Endpoints": {}}', '{"Endpoints": {"docker": {"Host": ""}}}'])
def test_a_context_that_is_not_there(nothing_named: Path, monkeypatch: pytest.MonkeyPatch, meta: str | None) -> None:
    if meta is not None:
        write_context(nothing_named, "gone", "x")
        next(nothing_named.rglob("meta.json")).write_text(meta)
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(MachineError, match=r"docker context 'gone': not found|is not a valid file of docker"):
        choose_engine(Engine.AUTO)


def test_certificates_that_are_gone(nothing_named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docker-machine leaves in the environment."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(nothing_named / "gone"))
    with pytest.raises(MachineError, match=r"DOCKER_HOST=tcp://127\.0\.0\.1:2376 cannot be used") as caught:
        choose_engine(Engine.AUTO)
    assert "DOCKER_CERT_PATH" in caught.value.hint


def test_ssh_is_by_the_machines_own_client(nothing_named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://pirate@board")
    named = find_named()
    assert named
    assert named.arguments == {"base_url": "ssh://pirate@board", "use_ssh_client": True}


def test_ssh_without_its_package_says_how_to_get_it(nothing_named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://pirate@board")
    monkeypatch.setitem(sys.modules, "paramiko", None)
    with pytest.raises(MachineError, match="no Docker Engine answers") as caught:
        choose_engine(Engine.AUTO)
    assert "docker[ssh]" in caught.value.hint


def test_a_user_without_a_home(nothing_named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda text: text)
    monkeypatch.setattr(connect, "SOCKETS", ("~/.docker/run/docker.sock",))
    assert find_named() is None
    with pytest.raises(MachineError, match="no socket found"), open_engine():
        pass


def test_docker_that_was_asked_for_must_answer(no_engine: None) -> None:
    with pytest.raises(MachineError, match=r"tcp://127\.0\.0\.1:9: connection refused") as caught:
        choose_engine(Engine.DOCKER)
    assert "apt-get install docker.io" in caught.value.hint


def test_a_machine_that_can_do_neither_says_so(
    nothing_named: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        MachineError, match=r"no Docker Engine answers \(no socket found.*not possible: this is not a Debian-like Linux"
    ):
        choose_engine(Engine.AUTO)
    with pytest.raises(MachineError, match="not a Debian-like Linux"):
        choose_engine(Engine.LOCAL)


def test_only_root_builds_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MachineError, match="not root"):
        choose_engine(Engine.LOCAL)


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
@pytest.mark.parametrize("wanted", [Engine.AUTO, Engine.DOCKER])
def test_a_socket_that_refuses_says_how_to_get_in(refusing: Path, wanted: Engine) -> None:
    with pytest.raises(MachineError, match=rf"may not use it \(unix://{refusing}: permission denied\)") as caught:
        choose_engine(wanted)
    assert caught.value.hint == "sudo usermod -aG adm nobody, then log in again; or run it with sudo"


@pytest.mark.machine
def test_the_doctor_says_so_too(refusing: Path, tmp_path: Path) -> None:
    (engine, *_) = examine(tmp_path)
    assert not engine.ok
    assert engine.text.startswith("a Docker Engine is running, but this user may not use it")
    assert engine.fix.startswith("sudo usermod -aG adm nobody")


@pytest.mark.machine
def test_who_joined_the_group_since_the_last_login_logs_in_again(
    refusing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adm = grp.getgrnam("adm")
    monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group((adm.gr_name, "x", adm.gr_gid, ["nobody"])))
    assert (
        render_admission(refusing)
        == "log in again: you are in the group adm since your last login; or run it with sudo"
    )


@pytest.mark.machine
def test_nothing_to_join_leaves_sudo(refusing: Path, tmp_path: Path) -> None:
    os.seteuid(0)
    os.chown(refusing, 0, 0)
    assert render_admission(refusing) == render_admission(tmp_path / "absent") == "run it with sudo"
    os.chown(refusing, 0, 54321)  # A group without a name.
    assert render_admission(refusing) == "run it with sudo"


@pytest.mark.machine
def test_a_socket_in_another_users_directory_is_none(refusing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.seteuid(0)
    refusing.parent.chmod(0o700)
    os.seteuid(NOBODY)
    with pytest.raises(MachineError, match="no socket found"):
        choose_engine(Engine.DOCKER)


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


def test_an_engine_that_was_killed(nothing_named: Path, tmp_path: Path) -> None:
    """What the SDK says is ('Connection aborted.', ConnectionRefusedError(111, 'Connection refused'))."""
    place = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
    with closing(APIClient(base_url=f"unix://{place}", version="1.41")) as api:
        with pytest.raises(MachineError) as caught, engine_errors("waiting for the build"):
            api.wait("x")
        assert (
            caught.value.message
            == "the Docker Engine stopped answering while waiting for the build: connection refused"
        )


@pytest.mark.parametrize(
    ("answer", "words"), [(b"", "the connection broke"), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "broke")]
)
def test_an_engine_that_ends_while_it_answers(tmp_path: Path, answer: bytes, words: str) -> None:
    place = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listening, closing(APIClient(f"unix://{place}", version="1.41")) as api:
        listening.bind(str(place))
        listening.listen()

        def serve() -> None:
            asked, _ = listening.accept()
            with asked:
                asked.recv(65536)
                asked.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(MachineError) as caught, engine_errors("looking"):
            api.containers()
        thread.join()
    assert caught.value.message.startswith("the Docker Engine stopped answering while looking: ")
    assert words in caught.value.message
    assert "(" not in caught.value.message
