# SPDX-License-Identifier: MIT
"""A build in a container, on a real Engine: its inputs, its rights, its events, its errors."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from docker import APIClient

from builder.choices import Engine
from builder.engine.docker import container
from builder.errors import DownloadError, Interrupted, RecipeError, ToolError
from builder.log import Event
from builder.request import BuildRequest
from tests.support.log import Heard
from tests.support.stub_builds import Containers, RequestOf, interrupt, on_note

pytestmark = pytest.mark.engine


def test_events_arrive_while_the_build_runs(request_of: RequestOf, heard: Heard) -> None:
    times: dict[str, float] = {}

    def note_time(event: Event) -> None:
        times.setdefault(f"{event.kind} {event.text}", time.monotonic())

    heard.on_event = note_time
    request_of("good").run()
    assert times["end build"] - times["line a tool says something"] > 1
    assert "not an event" in heard.texts("line")


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
        interrupt()

    on_note(heard, "begun", look)
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
