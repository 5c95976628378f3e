# SPDX-License-Identifier: MIT
"""What a build in a container tells, however the stream is cut."""

from __future__ import annotations

import json

from builder.engine.story import Story
from builder.errors import BoardwrightError, TrustError
from tests.engine.conftest import Heard


def _event(kind: str, text: str, /, **data: object) -> bytes:
    return json.dumps({"kind": kind, "text": text, "data": data}).encode() + b"\n"


def test_an_event_in_pieces_is_one_event(heard: Heard) -> None:
    story = Story()
    for byte in _event("note", "grüße"):
        story.hear(bytes([byte]), None)
    story.end()
    assert heard.texts("note") == ["grüße"]


def test_anything_else_is_a_line(heard: Heard) -> None:
    story = Story()
    story.hear(b'{"kind": "no json\n{"kind": "note"}\nplain', b"aside\n\n")
    story.end()
    assert heard.texts("line") == ['{"kind": "no json', '{"kind": "note"}', "aside", "plain"]


def test_steps_that_did_not_end_fail(heard: Heard) -> None:
    story = Story()
    story.hear(_event("start", "a") + _event("start", "b") + _event("end", "b") + _event("start", "c"), None)
    story.end()
    assert heard.texts("fail") == ["c", "a"]


def test_result_and_error_are_kept_not_shown(heard: Heard) -> None:
    story = Story()
    story.hear(_event("result", "r", x=1) + _event("error", "bad", kind="trust", hint="h"), None)
    assert story.result == {"x": 1}
    failure = story.failure(6, killed="")
    assert type(failure) is TrustError
    assert (failure.message, failure.hint) == ("bad", "h")
    assert not heard.events


def test_an_unknown_kind_is_a_plain_error(heard: Heard) -> None:
    story = Story()
    story.hear(_event("error", "bad", kind="new"), None)
    assert type(story.failure(1, killed="")) is BoardwrightError


def test_silence_is_said() -> None:
    assert "without a word" in Story().failure(1, killed="").message
