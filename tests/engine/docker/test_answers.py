# SPDX-License-Identifier: MIT
"""What a container answers: taken as it is, or an error on one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.engine.docker.answers import load_findings, load_items, load_machine, load_news
from builder.errors import ToolError
from builder.system.files import load_json
from builder.verbs.cache_usage import UsageLine, render_lines
from tests.support.hostile import TEXT, WRONG, Documents, Place, change, check_message

ITEMS = [{"kind": "package", "name": "tool_1.0_arm64.deb", "size": 5, "used": 1790000000}]
FINDINGS = [{"area": "space", "ok": False, "text": "no space", "fix": "make some"}]
MACHINE = {"argv": ["qemu-system-aarch64", "-M", "virt"], "user": "pirate"}


def read_items(answer: bytes) -> Any:
    items = load_items(answer.decode(errors="replace"))
    render_lines([UsageLine(item.kind, item.name, item.size, item.used) for item in items], total="in all")
    return [item.model_dump() for item in items]


def read_findings(answer: bytes) -> Any:
    return [finding.__dict__ for finding in load_findings(answer.decode(errors="replace"))]


def read_machine(answer: bytes) -> Any:
    try:
        result = load_json(answer)
    except ValueError:
        raise ToolError("no event") from None  # A line that is no JSON is no event (builder/engine/events.py).
    return load_machine(result).model_dump()


READERS: dict[str, tuple[Any, Callable[[bytes], Any]]] = {
    "items": (ITEMS, read_items),
    "findings": (FINDINGS, read_findings),
    "machine": (MACHINE, read_machine),
}


def load(name: str, answer: bytes) -> Any:
    """Return what is read; None where it is refused in a proper way."""
    try:
        return READERS[name][1](answer)
    except ToolError as error:
        refusal = error
    check_message(refusal.message)
    return None


def check(place: Place, text: str, found: Any) -> None:
    name, path, is_key = place
    assert found == change(READERS[name][0], path, text, is_key=is_key)


ANSWERS = Documents({name: document for name, (document, _) in READERS.items()}, load, check)


@pytest.mark.parametrize("name", READERS)
def test_good_answers_are_read(name: str) -> None:
    document, load = READERS[name]
    assert load(json.dumps(document).encode()) == document


@pytest.mark.parametrize("name", READERS)
def test_hostile_text_in_each_place(name: str) -> None:
    ANSWERS.put_texts(name)


@given(place=st.sampled_from(ANSWERS.find_places()), text=TEXT)
@settings(max_examples=100, deadline=None)
def test_any_text_in_any_place(place: Place, text: str) -> None:
    ANSWERS.put_text(place, text)


@pytest.mark.parametrize("name", READERS)
def test_what_is_of_a_wrong_kind_is_refused(name: str) -> None:
    ANSWERS.put_wrong(name)
    for wrong in WRONG:
        assert load(name, wrong) in (None, [])


def test_a_user_is_no_option_of_ssh() -> None:
    with pytest.raises(ToolError, match="user: found '-oProxyCommand=reboot'; expected the name of a user"):
        load_machine(MACHINE | {"user": "-oProxyCommand=reboot"})


def test_a_line_of_a_pull_that_is_none_says_nothing() -> None:
    for wrong in WRONG:
        for line in (wrong, b'{"error": %s}' % wrong, b'{"status": %s, "progress": %s}' % (wrong, wrong)):
            assert len((load_news(line).error or "") + (load_news(line).status or "")) <= 2


def test_a_line_of_a_pull_is_read() -> None:
    progress = load_news(
        b'{"status": "Downloading", "progressDetail": {"current": 5}, "progress": "[=>  ]", "id": "a"}'
    )
    assert (progress.status, progress.progress, progress.error) == ("Downloading", "[=>  ]", None)
    assert load_news(b'{"message": "no such image"}').message == "no such image"
