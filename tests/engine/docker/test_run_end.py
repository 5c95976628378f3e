# SPDX-License-Identifier: MIT
"""A build in a container that is interrupted, killed or removed: an error, and nothing left."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from docker import APIClient

from builder.doctor.doctor import examine, give_back
from builder.errors import Interrupted, ToolError
from builder.system.workspace import find_leftovers
from tests.support.log import Heard
from tests.support.stub_builds import Containers, RequestOf, StubBuild, interrupt, is_clean, on_first, on_note

pytestmark = pytest.mark.engine


def test_an_interrupt_lets_the_build_unwind(request_of: RequestOf, heard: Heard, containers: Containers) -> None:
    request = request_of("slow")
    on_note(heard, "begun", interrupt)
    with pytest.raises(Interrupted):
        request.run()
    assert "unwound" in heard.texts("note")
    assert heard.texts("fail") == ["endless"]
    assert not containers()
    assert is_clean(request.state, request.output)


@pytest.mark.usefixtures("way")
def test_an_interrupt_while_fetching_leaves_nothing(
    request_of: RequestOf, heard: Heard, containers: Containers
) -> None:
    request = request_of("good")
    on_first(heard, lambda event: event.kind == "progress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        request.run()
    assert not containers()
    assert is_clean(request.state, request.output)
    assert not list(request.output.iterdir())


def test_a_second_interrupt_kills(request_of: RequestOf, heard: Heard, containers: Containers) -> None:
    begun = time.monotonic()
    heard.on_event = lambda event: interrupt() if event.text.startswith(("begun", "stopping")) else None
    with pytest.raises(Interrupted):
        request_of("stubborn").run()
    assert time.monotonic() - begun < 15
    assert not containers()


@pytest.mark.parametrize("delay_s", [0.02, 0.06, 0.1, 0.2, 0.3, 0.45, 0.6, 1.0])
def test_an_interrupt_at_any_moment_leaves_nothing(
    request_of: RequestOf, heard: Heard, containers: Containers, delay_s: float
) -> None:
    request = request_of("slow")
    timer = threading.Timer(delay_s, interrupt)

    def run_interrupted() -> None:
        timer.start()  # Not earlier: on a busy machine 20 ms are over before the next line.
        request.run()

    with pytest.raises((Interrupted, KeyboardInterrupt)):
        run_interrupted()
    timer.join()
    assert not containers()
    assert is_clean(request.state, request.output)


def test_an_interrupt_waits_for_a_container_that_is_being_made(
    request_of: RequestOf, heard: Heard, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Engine makes it also for one who has gone: it would appear later, and stay.

    In a thread of its own the call could be missed: one that is interrupted while it starts is not joined.
    """
    create, threads = APIClient.create_container_from_config, []

    def create_slowly(api: APIClient, *arguments: object) -> object:
        threads.append(threading.current_thread())
        interrupt()
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
    on_note(heard, "begun", lambda: api.kill(containers()[0].lstrip("/")))
    with pytest.raises(ToolError, match="was killed"):
        request_of("slow").run()
    assert not containers()


def test_a_container_removed_by_others_is_an_error(
    request_of: RequestOf, heard: Heard, api: APIClient, containers: Containers
) -> None:
    on_note(heard, "begun", lambda: api.remove_container(containers()[0].lstrip("/"), force=True))
    with pytest.raises(ToolError, match="removed by another program"):
        request_of("slow").run()


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
