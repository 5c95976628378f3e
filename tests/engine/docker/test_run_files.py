# SPDX-License-Identifier: MIT
"""Files that come out of the container of a build: whole, sparse, owned by the user, or refused."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from builder.engine.docker import layer, run
from builder.errors import BoardwrightError, SpaceError, ToolError, TrustError
from tests.support.log import Heard
from tests.support.stub_builds import MIB, Containers, RequestOf, is_clean

pytestmark = pytest.mark.engine


@pytest.mark.machine
def test_root_reads_the_storage_of_its_own_engine(
    request_of: RequestOf, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers: list[Path | None] = []

    def find(*arguments: Any) -> Path | None:
        layers.append(layer.find_layer(*arguments))
        return layers[-1]

    monkeypatch.setattr(run, "find_layer", find)
    request_of("good").run()
    assert layers != [None]


@pytest.mark.usefixtures("way")
def test_artefacts_come_out_whole_and_sparse(request_of: RequestOf, heard: Heard, containers: Containers) -> None:
    request = request_of("good")
    outcome = request.run()
    (artefact,) = outcome.artefacts
    content = artefact.path.read_bytes()
    assert artefact.path == request.output / "image.img"
    assert artefact.size_bytes == len(content) == 48 * MIB + 7
    assert artefact.sha256 == hashlib.sha256(content).hexdigest()
    assert content[33 * MIB + 5 : 33 * MIB + 9] == b"root"
    assert artefact.path.stat().st_blocks * 512 < MIB
    assert not containers()
    assert is_clean(request.state, request.output)


def test_another_image_of_the_name_is_replaced_after_a_note(request_of: RequestOf, heard: Heard) -> None:
    request = request_of("good")
    request.output.mkdir()
    for name, text in {"image.img": "old", "image.img.xz": "old", "image.specs.json": "{}", "other.img": ""}.items():
        (request.output / name).write_text(text, encoding="utf-8")
    with pytest.raises(TrustError):
        request.but(version="lie").run()
    assert (request.output / "image.img").read_text(encoding="utf-8") == "old"
    assert not [text for text in heard.texts("note") if "repla" in text]
    request.run()
    assert sorted(path.name for path in request.output.iterdir()) == ["image.img", "other.img"]
    assert (request.output / "image.img").stat().st_size > 3
    notes = [text.split()[0] for text in heard.texts("note") if "fetched in" not in text]
    assert notes == ["removing", "replacing"]


@pytest.mark.usefixtures("way")
def test_several_files_come_out_together(request_of: RequestOf, heard: Heard) -> None:
    request = request_of("several")
    artefacts = request.run().artefacts
    assert [artefact.path.name for artefact in artefacts] == ["text", "image.img", "empty"]
    assert [path.name for path in sorted(request.output.iterdir())] == ["empty", "image.img", "text"]
    for artefact in artefacts:
        content = artefact.path.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (artefact.size_bytes, artefact.sha256)


@pytest.mark.usefixtures("way")
def test_what_is_there_already_is_left_alone(request_of: RequestOf, heard: Heard) -> None:
    request = request_of("several")
    first = request.run().artefacts
    (request.output / "text").write_text("changed")
    before = (request.output / "image.img").stat()
    assert request.run().artefacts == first
    assert (request.output / "image.img").stat().st_ino == before.st_ino
    assert (request.output / "text").read_text() == "text"


@pytest.mark.usefixtures("way")
def test_a_file_that_comes_out_is_the_users(request_of: RequestOf, heard: Heard) -> None:
    before = os.umask(0o027)
    try:
        (artefact,) = request_of("owned").run().artefacts
    finally:
        os.umask(before)
    status = artefact.path.stat()
    assert (status.st_uid, status.st_gid, oct(status.st_mode)) == (os.geteuid(), os.getegid(), "0o100640")


@pytest.mark.usefixtures("way")
def test_a_file_that_was_damaged_is_refused(request_of: RequestOf, heard: Heard) -> None:
    request = request_of("lie")
    with pytest.raises(TrustError, match="arrived with sha256"):
        request.run()
    assert not list(request.output.iterdir())


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("act", ["absent", "folder"])
def test_a_file_that_is_none_is_an_error(request_of: RequestOf, heard: Heard, act: str) -> None:
    request = request_of(act)
    with pytest.raises(ToolError, match=f"/build/dist/{act}: not found in the container"):
        request.run()
    assert not list(request.output.iterdir())


@pytest.mark.machine
@pytest.mark.parametrize("act", ["link", "linked_folder"])
def test_no_link_leads_out_of_a_container(request_of: RequestOf, heard: Heard, act: str) -> None:
    request = request_of(act)
    with pytest.raises(ToolError, match="not found in the container"):
        request.run()
    assert not list(request.output.iterdir())


@pytest.mark.usefixtures("packed")
@pytest.mark.parametrize(
    ("act", "kind", "message"),
    [
        ("unpacked", ToolError, "expected the build's pack"),
        ("garbage", TrustError, "Unknown frame descriptor"),
        ("endless_pack", TrustError, "has a piece of 4 bytes at 1125899906842624"),
    ],
)
def test_a_pack_of_lies_is_refused(
    request_of: RequestOf, heard: Heard, containers: Containers, act: str, kind: type[BoardwrightError], message: str
) -> None:
    request = request_of(act)
    with pytest.raises(kind, match=message):
        request.run()
    assert not list(request.output.iterdir())
    assert not containers()
    assert is_clean(request.state, request.output)


def test_a_name_cannot_leave_the_output(request_of: RequestOf, heard: Heard) -> None:
    request = request_of("escape")
    assert request.run().artefacts[0].path == request.output / "..data"


@pytest.mark.machine
@pytest.mark.usefixtures("way")
def test_a_full_disk_here_is_a_space_error(request_of: RequestOf, heard: Heard, small_disk: Path) -> None:
    with pytest.raises(SpaceError, match="No space left"):
        request_of("good").but(output=small_disk).run()


@pytest.mark.usefixtures("packed")
def test_a_remote_engine_works(request_of: RequestOf, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_forward, args=(server,), daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.getsockname()[1]}")
        outcome = request_of("good").run()
    assert outcome.artefacts[0].size_bytes == 48 * MIB + 7
    assert "a tool says something" in heard.texts("line")


def _forward(server: socket.socket) -> None:
    """Join every connection to the Engine's own socket."""
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        engine = socket.socket(socket.AF_UNIX)
        engine.connect("/var/run/docker.sock")
        for source, target in ((client, engine), (engine, client)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
