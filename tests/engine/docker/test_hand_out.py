# SPDX-License-Identifier: MIT
"""An image that is fetched while its specs still run: from a real Engine, by both ways."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from builder.engine.docker import hand_out, run
from builder.errors import Interrupted, SpaceError, ToolError, TrustError, VerifyError
from builder.log import Event
from tests.support.log import Heard
from tests.support.stub_builds import StubBuild

pytestmark = pytest.mark.engine
RequestOf = Callable[[str], StubBuild]
Containers = Callable[[], list[str]]
FETCHED = "image.img: 48 MiB fetched"
ANSWER_S = 60


@pytest.fixture(params=["layer", "pack"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pack":
        monkeypatch.setattr(run, "find_layer", lambda *_: None)


def wait_for_the_image(heard: Heard) -> None:
    """Hear no more of a build until its image has been fetched: so its end has not been heard then."""
    fetched = threading.Event()

    def look(event: Event) -> None:
        if event.text.startswith(FETCHED):
            fetched.set()
        if event.text == "the specs run":
            assert fetched.wait(ANSWER_S), "the image was not fetched while the specs ran"

    heard.on_event = look


def is_clean(request: StubBuild) -> bool:
    left = list(request.output.glob("*")) + list(request.output.glob(".*"))
    return not left and not list((request.state / "journals").glob("*"))


def test_the_image_is_fetched_while_its_specs_run(request_of: RequestOf, heard: Heard, containers: Containers) -> None:
    request = request_of("early")
    wait_for_the_image(heard)
    artefacts = request.run().artefacts
    assert [artefact.path.name for artefact in artefacts] == ["image.img", "text"]
    assert sorted(path.name for path in request.output.iterdir()) == ["image.img", "text"]
    assert sum(text.startswith(FETCHED) for text in heard.texts("note")) == 1
    assert any(text.startswith("text: ") for text in heard.texts("note"))
    assert not containers()


def test_the_engine_does_not_pack_a_pack(
    request_of: RequestOf, heard: Heard, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    encodings: list[str | None] = []
    get = APIClient.get

    def look(api: APIClient, url: str, **options: Any) -> Any:
        answer = get(api, url, **options)
        if str(options.get("params", {}).get("path")).endswith(".pack"):
            encodings.append(answer.headers.get("Content-Encoding"))
        return answer

    monkeypatch.setattr(APIClient, "get", look)
    request_of("early").run()
    assert encodings == ([None, None] if request.node.name.endswith("[pack]") else [])


def test_it_is_not_fetched_where_it_is_already(request_of: RequestOf, heard: Heard) -> None:
    request = request_of("early")
    first = request.run().artefacts
    (request.output / "text").unlink()
    assert request.run().artefacts == first
    assert sum(text.startswith(FETCHED) for text in heard.texts("note")) == 1


def test_of_a_build_with_red_specs_nothing_is_kept(request_of: RequestOf, heard: Heard, containers: Containers) -> None:
    request = request_of("early_red")
    wait_for_the_image(heard)
    with pytest.raises(VerifyError, match="2 specs are red"):
        request.run()
    assert is_clean(request)
    assert not containers()


def test_another_image_than_the_announced_is_fetched_again(request_of: RequestOf, heard: Heard) -> None:
    request = request_of("early_other")
    wait_for_the_image(heard)
    (artefact,) = request.run().artefacts
    assert artefact.path.read_bytes()[:8] == b"BOOTboot"
    assert sum(text.startswith(FETCHED) for text in heard.texts("note")) == 2


def test_an_image_that_is_not_the_announced_is_refused(request_of: RequestOf, heard: Heard) -> None:
    request = request_of("early_lie")
    with pytest.raises(TrustError, match="arrived with sha256"):
        request.run()
    assert is_clean(request)


@pytest.mark.parametrize(
    ("act", "message"),
    [("early_twice", "announced image.img too; expected one image"), ("early_nonsense", "expected path, size")],
)
def test_a_wrong_announcement_is_refused(
    request_of: RequestOf, heard: Heard, containers: Containers, act: str, message: str
) -> None:
    request = request_of(act)
    with pytest.raises(ToolError, match=message):
        request.run()
    assert is_clean(request)
    assert not containers()


def test_an_interrupt_while_the_specs_run_leaves_nothing(
    request_of: RequestOf, heard: Heard, containers: Containers
) -> None:
    request = request_of("early_slow")
    heard.on_event = lambda event: os.kill(os.getpid(), signal.SIGINT) if event.text == "begun" else None
    with pytest.raises(Interrupted):
        request.run()
    assert is_clean(request)
    assert not containers()


def test_an_image_that_has_its_final_name_already_is_fetched_at_the_end(
    request_of: RequestOf, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that fetches begins when the build has moved the file on."""
    ended = threading.Event()
    receive = hand_out.CopyMethod.receive

    def wait(way: hand_out.CopyMethod, announced: object, wanted: object, *arguments: Path, **options: object) -> None:
        if threading.current_thread() is not threading.main_thread():
            assert ended.wait(ANSWER_S)
        receive(way, announced, wanted, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(hand_out.CopyMethod, "receive", wait)
    heard.on_event = lambda event: ended.set() if event.text.startswith("fetch ") else None
    outcome = request_of("early_moved").run()
    assert [artefact.path.name for artefact in outcome.artefacts] == ["image.img", "text"]


@pytest.mark.machine
def test_a_full_disk_is_a_space_error(request_of: RequestOf, heard: Heard, small_disk: Path) -> None:
    with pytest.raises(SpaceError, match="No space left"):
        request_of("early").but(output=small_disk).run()
    assert not list(small_disk.iterdir())
