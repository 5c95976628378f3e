# SPDX-License-Identifier: MIT
"""A build in a container, on a real Engine: what it is given, what it tells, what comes out, how it ends."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from builder.choices import Engine
from builder.doctor.doctor import examine, give_back
from builder.engine.docker import container, layer, run
from builder.errors import BoardwrightError, DownloadError, Interrupted, RecipeError, SpaceError, ToolError, TrustError
from builder.log import Event
from builder.request import BuildRequest
from builder.system.workspace import find_leftovers
from tests.engine.conftest import StubBuild
from tests.support.log import Heard

pytestmark = pytest.mark.engine
MIB = 1024 * 1024
RequestOf = Callable[[str], StubBuild]
Containers = Callable[[], list[str]]


def _on_first(heard: Heard, is_wanted: Callable[[Event], bool], act: Callable[[], None]) -> None:
    """Do something, once, at the moment of the first such event."""

    def look(event: Event) -> None:
        if is_wanted(event):
            heard.on_event = lambda _: None
            act()

    heard.on_event = look


def _on_note(heard: Heard, text: str, act: Callable[[], None]) -> None:
    """Do something, once, at the moment a note arrives."""
    _on_first(heard, lambda event: event.kind == "note" and event.text.startswith(text), act)


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def _is_clean(state: Path, output: Path) -> bool:
    return not list((state / "journals").glob("*")) and not list(output.glob(".partial*"))


def test_events_arrive_while_the_build_runs(request_of: RequestOf, heard: Heard) -> None:
    times: dict[str, float] = {}

    def note_time(event: Event) -> None:
        times.setdefault(f"{event.kind} {event.text}", time.monotonic())

    heard.on_event = note_time
    request_of("good").run()
    assert times["end build"] - times["line a tool says something"] > 1
    assert "not an event" in heard.texts("line")


WAYS = ("layer", "pack")
"""How artefacts come out: from the Engine's storage, where it may be read, or through the Engine."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pack":
        monkeypatch.setattr(run, "find_layer", lambda *_: None)
    return str(request.param)


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "find_layer", lambda *_: None)


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
    assert _is_clean(request.state, request.output)


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


def test_inputs_are_copied_and_private(request_of: RequestOf, heard: Heard, tmp_path: Path) -> None:
    secret = tmp_path / "seed"
    secret.write_text("password", encoding="utf-8")
    outcome = request_of("inputs").but(user_data=secret).run()
    seen = outcome.data["seen"]
    assert seen["/build/inputs/user-data"] == ["0o600", 0, "password"]
    assert seen["/build/boards/x/board.yaml"][2] == "title: x\n"
    assert outcome.data["argv"] == ["run", "/build/inputs/request.json"]
    mode, owner, text = seen["/build/inputs/request.json"]
    assert (mode, owner) == ("0o600", 0)
    asked = BuildRequest.model_validate_json(text)
    assert (asked.board, asked.engine) == ("x", Engine.LOCAL)
    assert (asked.boards, asked.user_data) == (Path("/build/boards"), Path("/build/inputs/user-data"))
    assert outcome.data["environment"]["BOARDWRIGHT_BUILDER_IMAGE"].startswith("sha256:")


def test_proxies_are_passed_on_in_a_file(request_of: RequestOf, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:SECRET@proxy.example.org:3128")
    monkeypatch.setenv("no_proxy", "example.org")
    data = request_of("inputs").run().data
    mode, owner, text = data["seen"][data["environment"]["BOARDWRIGHT_PROXIES"]]
    assert (mode, owner) == ("0o600", 0)
    proxies = json.loads(text)
    assert proxies["no_proxy"] == proxies["NO_PROXY"] == "example.org"
    assert proxies["http_proxy"] == "http://user:SECRET@proxy.example.org:3128"
    assert "SECRET" not in json.dumps(data["environment"])


def test_an_input_that_is_not_there_is_named(request_of: RequestOf, heard: Heard, containers: Containers) -> None:
    with pytest.raises(RecipeError, match="absent cannot be read"):
        request_of("good").but(user_data=Path("absent")).run()
    assert not containers()


def test_the_container_has_no_more_than_it_needs(
    request_of: RequestOf, heard: Heard, api: APIClient, containers: Containers
) -> None:
    seen: list[dict[str, object]] = []

    def look() -> None:
        seen.append(api.inspect_container(containers()[0].lstrip("/")))
        _interrupt()

    _on_note(heard, "begun", look)
    with pytest.raises(Interrupted):
        request_of("slow").run()
    host = seen[0]["HostConfig"]
    assert isinstance(host, dict)
    assert host["Privileged"] is False
    assert host["CapAdd"] == ["SYS_ADMIN"] or host["CapAdd"] == ["CAP_SYS_ADMIN"]
    assert not host["Binds"]
    mounts = seen[0]["Mounts"]
    assert isinstance(mounts, list)
    assert [mount["Type"] for mount in mounts] == ["volume"]


def test_loop_devices_work_without_privileges(request_of: RequestOf, heard: Heard) -> None:
    assert request_of("loop").run().data["kind"].startswith("ext")


def test_an_engine_without_loop_devices_still_builds(
    request_of: RequestOf, heard: Heard, monkeypatch: pytest.MonkeyPatch, containers: Containers
) -> None:
    monkeypatch.setattr(container, "LOOP_CONTROL", "/dev/no-such-loop-control")
    assert request_of("good").run().artefacts
    assert any("no loop devices" in text for text in heard.texts("note"))
    assert not containers()


def test_an_error_inside_is_the_same_error_here(request_of: RequestOf, heard: Heard, containers: Containers) -> None:
    with pytest.raises(DownloadError, match="the mirror is away") as caught:
        request_of("fail").run()
    assert caught.value.hint == "try another"
    assert not containers()


def test_the_log_of_a_failed_build_comes_here(request_of: RequestOf, heard: Heard) -> None:
    request = request_of("logged")
    with pytest.raises(ToolError) as raised:
        request.run()
    log = request.state / "logs/x.log"
    assert raised.value.hint == f"the full log is in {log}"
    assert log.read_text() == "$ tool\nits last words\n"


def test_an_end_without_a_word_shows_the_last_lines(request_of: RequestOf, heard: Heard) -> None:
    with pytest.raises(ToolError, match=r"(?s)exit code 3.*word 15.*word 29") as caught:
        request_of("mute").run()
    assert "word 14" not in caught.value.message
    assert heard.texts("fail") == ["mkfs"]


def test_a_build_without_a_result_is_an_error(request_of: RequestOf, heard: Heard) -> None:
    with pytest.raises(ToolError, match="without a result"):
        request_of("nothing").run()


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
    assert _is_clean(request.state, request.output)


def test_a_name_cannot_leave_the_output(request_of: RequestOf, heard: Heard) -> None:
    request = request_of("escape")
    assert request.run().artefacts[0].path == request.output / "..data"


@pytest.mark.machine
@pytest.mark.usefixtures("way")
def test_a_full_disk_here_is_a_space_error(request_of: RequestOf, heard: Heard, small_disk: Path) -> None:
    with pytest.raises(SpaceError, match="No space left"):
        request_of("good").but(output=small_disk).run()


def test_an_interrupt_lets_the_build_unwind(request_of: RequestOf, heard: Heard, containers: Containers) -> None:
    request = request_of("slow")
    _on_note(heard, "begun", _interrupt)
    with pytest.raises(Interrupted):
        request.run()
    assert "unwound" in heard.texts("note")
    assert heard.texts("fail") == ["endless"]
    assert not containers()
    assert _is_clean(request.state, request.output)


@pytest.mark.usefixtures("way")
def test_an_interrupt_while_fetching_leaves_nothing(
    request_of: RequestOf, heard: Heard, containers: Containers
) -> None:
    request = request_of("good")
    _on_first(heard, lambda event: event.kind == "progress", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        request.run()
    assert not containers()
    assert _is_clean(request.state, request.output)
    assert not list(request.output.iterdir())


def test_a_second_interrupt_kills(request_of: RequestOf, heard: Heard, containers: Containers) -> None:
    begun = time.monotonic()
    heard.on_event = lambda event: _interrupt() if event.text.startswith(("begun", "stopping")) else None
    with pytest.raises(Interrupted):
        request_of("stubborn").run()
    assert time.monotonic() - begun < 15
    assert not containers()


@pytest.mark.parametrize("delay_s", [0.02, 0.06, 0.1, 0.2, 0.3, 0.45, 0.6, 1.0])
def test_an_interrupt_at_any_moment_leaves_nothing(
    request_of: RequestOf, heard: Heard, containers: Containers, delay_s: float
) -> None:
    request = request_of("slow")
    timer = threading.Timer(delay_s, _interrupt)

    def run_interrupted() -> None:
        timer.start()  # Not earlier: on a busy machine 20 ms are over before the next line.
        request.run()

    with pytest.raises((Interrupted, KeyboardInterrupt)):
        run_interrupted()
    timer.join()
    assert not containers()
    assert _is_clean(request.state, request.output)


def test_an_interrupt_waits_for_a_container_that_is_being_made(
    request_of: RequestOf, heard: Heard, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Engine makes it also for one who has gone: it would appear later, and stay.

    In a thread of its own the call could be missed: one that is interrupted while it starts is not joined.
    """
    create, threads = APIClient.create_container_from_config, []

    def create_slowly(api: APIClient, *arguments: object) -> object:
        threads.append(threading.current_thread())
        _interrupt()
        time.sleep(0.5)
        return create(api, *arguments)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(APIClient, "create_container_from_config", create_slowly)
    with pytest.raises(KeyboardInterrupt):
        request_of("slow").run()
    assert threads == [threading.main_thread()]
    assert not containers()


def test_a_container_killed_by_others_is_an_error(
    request_of: RequestOf, heard: Heard, api: APIClient, containers: Containers
) -> None:
    _on_note(heard, "begun", lambda: api.kill(containers()[0].lstrip("/")))
    with pytest.raises(ToolError, match="was killed"):
        request_of("slow").run()
    assert not containers()


def test_a_container_removed_by_others_is_an_error(
    request_of: RequestOf, heard: Heard, api: APIClient, containers: Containers
) -> None:
    _on_note(heard, "begun", lambda: api.remove_container(containers()[0].lstrip("/"), force=True))
    with pytest.raises(ToolError, match="removed by another program"):
        request_of("slow").run()


def test_two_at_once_do_not_disturb_each_other(request_of: RequestOf, containers: Containers, tmp_path: Path) -> None:
    requests = [request_of("good").but(output=tmp_path / name) for name in ("one", "two")]
    done: list[str] = []
    threads = [
        threading.Thread(target=lambda r=request: done.append(r.run().artefacts[0].sha256)) for request in requests
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 2
    assert done[0] == done[1]
    assert not containers()


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


def test_a_killed_build_is_cleaned_up_by_the_doctor(
    request_of: RequestOf, stub: str, volume: str, containers: Containers, heard: Heard
) -> None:
    request = request_of("hold")
    _start_and_kill(request, stub, until=lambda text: "attached" in text)
    assert len(containers()) == 1
    ours = [finding for finding in examine(request.state, volume=volume) if not finding.ok]
    assert {"containers", "leftovers"} <= {finding.area for finding in ours}
    give_back(request.state, volume=volume)
    assert not containers()
    assert not find_leftovers(request.state)
    assert not [finding for finding in examine(request.state, volume=volume) if finding.area in {"containers"}]
    assert all(f.ok for f in examine(request.state, volume=volume) if f.area in {"leftovers", "loop devices"})
    assert "/stub.img" not in subprocess.run(["losetup", "--list"], check=True, capture_output=True, text=True).stdout


def test_the_next_build_cleans_up_too(request_of: RequestOf, stub: str, containers: Containers, heard: Heard) -> None:
    request = request_of("slow")
    _start_and_kill(request, stub, until=lambda text: "begun" in text)
    assert len(containers()) == 1
    request.but(version="good").run()
    assert not containers()
    assert any("interrupted build" in text for text in heard.texts("note"))


def _start_and_kill(request: StubBuild, stub: str, until: Callable[[str], bool]) -> None:
    """Run the request in a process of its own and kill that without a chance to clean up."""
    code = (
        "from builder.engine.docker import run\n"
        "from builder.request import BuildRequest\n"
        f"run.make_builder_image = lambda _: {stub!r}\n"
        f"request = BuildRequest.model_validate_json({request.request.render()!r})\n"
        f"run.run_in_docker(request, volume={request.volume!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert process.stderr
    for text in process.stderr:
        if until(text):
            break
    process.kill()
    process.wait()
    process.stderr.close()
