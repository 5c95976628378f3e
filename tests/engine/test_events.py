# SPDX-License-Identifier: MIT
"""What a build in a container tells, however the stream is cut."""

from __future__ import annotations

import io
import json
from typing import get_args

import pytest
from hypothesis import given, settings

from builder import log
from builder.engine.events import EventStream
from builder.errors import BoardwrightError, TrustError
from builder.log import Kind
from builder.text import find_hidden
from tests.support.hostile import TEXT
from tests.support.log import Heard


def _event(kind: str, text: str, /, **data: object) -> bytes:
    return json.dumps({"kind": kind, "text": text, "data": data}).encode() + b"\n"


def test_an_event_in_pieces_is_one_event(heard: Heard) -> None:
    stream = EventStream()
    for byte in _event("note", "grüße"):
        stream.feed(bytes([byte]), None)
    stream.end()
    assert heard.texts("note") == ["grüße"]


def test_anything_else_is_a_line(heard: Heard) -> None:
    stream = EventStream()
    stream.feed(b'{"kind": "no json\n{"kind": "note"}\nplain', b"aside\n\n")
    stream.end()
    assert heard.texts("line") == ['{"kind": "no json', '{"kind": "note"}', "aside", "plain"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": ["note"], "text": "x", "data": {}}',
        b'{"kind": "new", "text": "x", "data": {}}',
        b'{"kind": "note", "text": 5, "data": {}}',
        b'{"kind": "note", "text": "x", "data": [5]}',
        b'{"kind": "progress", "text": "x", "data": {"fraction": "half"}}',
        b'{"kind": "progress", "text": "x", "data": {"fraction": NaN}}',
        b'{"kind": "end", "text": "x", "data": {"seconds": null}}',
        b'{"kind": "end", "text": "x", "data": {"seconds": -1}}',
        b'{"kind": "end", "text": "x", "data": {"seconds": %s}}' % (b"9" * 400),
        b'{"kind": "end", "text": "x", "data": {"seconds": %s}}' % (b"9" * 5000),
        b'{"kind": "note", "text": "x", "data": ' + b"[" * 100_000,
    ],
    ids=lambda line: repr(line[:60]),
)
def test_what_is_no_event_is_a_line(heard: Heard, line: bytes) -> None:
    stream = EventStream()
    stream.feed(line + b"\n", None)
    assert heard.texts("line") == [line.decode()]
    assert [event.kind for event in heard.events] == ["line"]


@pytest.mark.parametrize("kind", [*get_args(Kind)])
@given(text=TEXT)
@settings(max_examples=30, deadline=None)
def test_any_text_of_an_event_is_shown_or_kept(kind: str, text: str) -> None:
    output = io.StringIO()
    with log.use(log.Plain(output)):
        stream = EventStream()
        stream.feed(_event(kind, text, hint=text, kind=text), text.encode("utf-8", "replace"))
        stream.end()
    assert find_hidden(output.getvalue()) == ""
    assert kind != "error" or stream.failure(1, killed="").message == text


def test_steps_that_did_not_end_fail(heard: Heard) -> None:
    stream = EventStream()
    stream.feed(_event("start", "a") + _event("start", "b") + _event("end", "b") + _event("start", "c"), None)
    stream.end()
    assert heard.texts("fail") == ["c", "a"]


def test_result_and_error_are_kept_not_shown(heard: Heard) -> None:
    stream = EventStream()
    stream.feed(_event("result", "r", x=1) + _event("error", "bad", kind="trust", hint="h"), None)
    assert stream.result == {"x": 1}
    failure = stream.failure(6, killed="")
    assert type(failure) is TrustError
    assert (failure.message, failure.hint) == ("bad", "h")
    assert not heard.events


def test_an_unknown_kind_is_a_plain_error(heard: Heard) -> None:
    stream = EventStream()
    stream.feed(_event("error", "bad", kind="new"), None)
    assert type(stream.failure(1, killed="")) is BoardwrightError


def test_silence_is_said() -> None:
    assert "without any output" in EventStream().failure(1, killed="").message
