# SPDX-License-Identifier: MIT
"""An image verified and booted in a container, with a stub in the place of our program and of QEMU."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest
from docker import APIClient

from builder.engine.docker.boot import find_host, make_key, open_console_in_docker, verify_in_docker
from builder.engine.docker.container import VOLUME, Job, _config
from builder.errors import BusyError, DownloadError, Interrupted, RecipeError, ToolError
from builder.log import Event
from builder.verify.verify import VerifyOptions
from tests.support.log import Heard

Containers = Callable[[], list[str]]

JOB = Job("x", "image", ("sleep", "infinity"), {}, volume="", mounts=False, ports={2222: 0, 8080: 8000})


def test_a_container_that_boots_has_less_than_any_other() -> None:
    host = _config(JOB, {})["HostConfig"]
    assert host == {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ExtraHosts": [],
        "Mounts": [],
        "PortBindings": {
            "2222/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}],
            "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}],
        },
    }


def test_a_container_that_builds_is_as_before() -> None:
    config = _config(Job("x", "image", ("true",), {}), {})
    assert config["HostConfig"]["CapAdd"] == ["SYS_ADMIN"]
    assert [mount["Source"] for mount in config["HostConfig"]["Mounts"]] == [VOLUME]
    assert not config["HostConfig"]["PortBindings"]
    assert config["StopSignal"] == "SIGTERM"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http+docker://localhost", ""),
        ("http://127.0.0.1:2375", ""),
        ("http://buildhost:2375", "buildhost"),
        ("https://192.168.1.5:2376", "192.168.1.5"),
    ],
)
def test_an_engine_elsewhere_is_named(url: str, host: str) -> None:
    api = APIClient("http://127.0.0.1:9", version="1.41")
    api.base_url = url
    assert find_host(api) == host


@pytest.mark.boot
def test_ssh_takes_the_key_that_is_made_without_it(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    argv = ["ssh-keygen", "-y", "-f", str(key)]
    public = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[:2]
    assert key.with_suffix(".pub").read_text().split()[:2] == public
    assert key.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "boardwright-x-1.img.zst"
    path.write_bytes(os.urandom(1000))
    (tmp_path / "boardwright-x-1.packages").write_text("dpkg 1.22\n")
    (tmp_path / "boards/x").mkdir(parents=True)
    (tmp_path / "boards/x/board.yaml").write_text("title: x\n")
    (tmp_path / "state").mkdir()
    return path


@pytest.fixture
def options(image: Path) -> VerifyOptions:
    """Options that go to a stub; `only` is how it behaves."""
    return VerifyOptions(boards=image.parent / "boards", levels=("offline",), boot=True)


def is_clean(image: Path) -> bool:
    state = image.parent / "state"
    return not [*state.glob("journals/*"), *state.glob("scratch/*")]


@pytest.mark.engine
def test_the_report_arrives_where_it_would_be_otherwise(
    image: Path, options: VerifyOptions, stub: str, heard: Heard, containers: Containers
) -> None:
    report = verify_in_docker(image, replace(options, only="specs"), image.parent / "state")
    assert [verdict.outcome for verdict in report.verdicts] == ["failed"]
    written = json.loads((image.parent / "boardwright-x-1.specs.json").read_text())
    assert written["image"] == image.name
    assert written["passed"] is False
    assert (image.parent / "boardwright-x-1.specs.xml").read_text() == "<testsuites/>"
    seen = report.verdicts[0].message
    assert "/build/image/boardwright-x-1.img.zst" in seen
    assert "/build/image/boardwright-x-1.packages" in seen
    assert "--engine local" in seen
    assert "--boot" in seen
    assert "a spec runs" in heard.texts("start")
    assert not containers()
    assert is_clean(image)


@pytest.mark.engine
def test_an_error_of_the_specs_is_the_same_here(
    image: Path, options: VerifyOptions, stub: str, heard: Heard, containers: Containers
) -> None:
    with pytest.raises(DownloadError, match="the mirror is away"):
        verify_in_docker(image, replace(options, only="fail"), image.parent / "state")
    assert not containers()
    assert is_clean(image)


@pytest.mark.engine
def test_what_is_no_report_is_said(image: Path, options: VerifyOptions, stub: str, heard: Heard) -> None:
    with pytest.raises(ToolError, match="invalid report from the container"):
        verify_in_docker(image, replace(options, only="absent"), image.parent / "state")


@pytest.mark.engine
def test_an_interrupt_leaves_no_container(
    image: Path, options: VerifyOptions, stub: str, heard: Heard, containers: Containers
) -> None:
    def interrupt(event: Event) -> None:
        if event.text == "begun":
            os.kill(os.getpid(), signal.SIGINT)

    heard.on_event = interrupt
    with pytest.raises(Interrupted):
        verify_in_docker(image, replace(options, only="slow"), image.parent / "state")
    assert "stopping the verification; ^C again kills it" in heard.texts("note")
    assert not containers()
    assert is_clean(image)


def test_a_report_that_cannot_be_written_is_said_first(image: Path, options: VerifyOptions, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the report cannot be written to"):
        verify_in_docker(image, replace(options, reports=tmp_path / "absent"), image.parent / "state")


@pytest.mark.engine
def test_a_port_that_is_taken_is_said(
    image: Path, options: VerifyOptions, stub: str, heard: Heard, containers: Containers
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        console = open_console_in_docker(image, options, image.parent / "state", ssh_port=port)
        with pytest.raises(BusyError, match=f"{port} is in use"), console:
            pass
    assert not containers()
    assert is_clean(image)


@pytest.mark.engine
def test_an_error_while_the_machine_is_made_is_the_same_here(
    image: Path, options: VerifyOptions, stub: str, heard: Heard, containers: Containers
) -> None:
    console = open_console_in_docker(image, replace(options, board="broken"), image.parent / "state")
    with pytest.raises(DownloadError, match="the mirror is away"), console:
        pass
    assert not containers()


PROGRAM = """
import pathlib, sys
from builder.engine.docker import boot
from builder.verbs.session import cli_session
from builder.verify.verify import VerifyOptions
boot.make_boot_image = lambda _: sys.argv[1]
image = pathlib.Path(sys.argv[2])
options = VerifyOptions(boards=image.parent / "boards")
with cli_session(json=False), boot.open_console_in_docker(image, options, image.parent / "state") as console:
    print(console.ssh, flush=True)
    console.use()
"""


def start(stub: str, image: Path) -> pexpect.spawn[str]:
    argv = ["-c", PROGRAM, stub, str(image)]
    return pexpect.spawn(
        *(sys.executable, argv), timeout=120, encoding="utf-8", dimensions=(30, 200), preexec_fn=_mind_hangups
    )


def _mind_hangups() -> None:
    """Let SIGHUP mean something again where these tests run under nohup, which programs obey."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.engine
def test_the_console_is_on_the_terminal_and_the_port_open(stub: str, image: Path, containers: Containers) -> None:
    terminal = start(stub, image)
    terminal.expect("user on the console: pirate, password secret")
    terminal.expect(r"ssh -p (\d+) .* -i (\S+) pirate@127\.0\.0\.1")
    found = terminal.match
    assert isinstance(found, re.Match)
    port, key = found.groups()
    terminal.expect("key ssh-ed25519 ")
    public = Path(f"{key}.pub").read_text().split()[1]
    terminal.expect_exact(public)
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        assert connection.recv(20) == b"SSH-2.0-stub"
    terminal.setwinsize(40, 150)
    terminal.sendline("size")
    terminal.expect("heard size .*columns=150, lines=40")
    terminal.sendline("bye")
    terminal.expect("heard bye")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert not containers()
    assert is_clean(image)


@pytest.mark.engine
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_machine(number: signal.Signals, stub: str, image: Path, containers: Containers) -> None:
    terminal = start(stub, image)
    terminal.expect("key ssh-ed25519")
    assert containers()
    terminal.kill(number)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert not containers()
    assert is_clean(image)


@pytest.mark.engine
def test_a_machine_that_ends_badly_is_an_error(stub: str, image: Path, containers: Containers) -> None:
    argv = [sys.executable, "-c", PROGRAM, stub, str(image)]
    done = subprocess.run(argv, input="break\n", capture_output=True, text=True, timeout=120, check=False)
    assert "heard break" in done.stdout
    assert "QEMU ended with exit code 3" in done.stderr
    assert not containers()
