# SPDX-License-Identifier: MIT
"""Hostile text, numbers and nesting, and how they are put into each place of a document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from builder.text import find_hidden

Steps = tuple[str | int, ...]
Place = tuple[str, Steps, bool]
"""The name of a document, the path of a value in it, and whether the key is meant."""
HOSTILE = (
    *("\nTrusted: yes", "a\nb", "\n", "a b", ' "', "'", "$(reboot)", "`reboot`", "${x}", "\\", ";reboot"),
    *("..", ".", "/", "../../../x", "/../x", "/a/../b", "-x", "--help", "~", "a,dumpdtb=/x"),
    *("a:b", "a,b", "a=b", "#", "%s", "{cmdline}"),
    *("\x00", "\x1b[2J", "\r", "\x7f", "\x85", "\u2028", "\u202e", "\ud800", "\udcff", "\ufeff"),
    *("é", "…", "x" * 5000, "9" * 5000),
)
TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20))


WRONG = (
    *(b"null", b"true", b"0", b"-1", b"1.5", b"1e400", b"1e999", b"-1e999", b"NaN", b"Infinity"),
    *(b"9" * 400, b"9" * 5000),
    *(b'""', b'"x"', b"[]", b"{}", b"[null]", b"[[]]", b'{"": ""}', b'{"a": {"a": []}}', b'"\\ud800"', b'"\\u0000"'),
    *(b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b'[{"":' * 500 + b"1" + b"}]" * 500),
    *(b"", b"}", b"\xff", b"\xef\xbb\xbf", b"// x", b"'x'"),
)
"""JSON of a wrong kind, without an end or of no kind at all."""
_MARK = "@@ here @@"


def find_places(value: Any, path: Steps = ()) -> Iterator[tuple[Steps, bool]]:
    """Yield the path of each value below a document, then of each key, with whether it is a key."""
    if path:
        yield path, False
    if isinstance(value, dict):
        for key, part in value.items():
            yield (*path, key), True
            yield from find_places(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from find_places(part, (*path, index))


def put(document: Any, path: Steps, wrong: bytes) -> bytes:
    """Return the bytes of a document with something else, which need not be JSON, at a place."""
    text = json.dumps(change(document, path, _MARK, is_key=False)).encode()
    return text.replace(json.dumps(_MARK).encode(), wrong)


def check_message(message: str) -> None:
    """Assert that an error is short, and that all of it can be seen on one line."""
    assert message
    assert find_hidden(message) == ""
    assert "\n" not in message
    assert "\t" not in message
    assert len(message) < 1000
    message.encode()


def change(value: Any, path: Steps, text: str, *, is_key: bool) -> Any:
    """Return a copy with another text at a place."""
    if not path:
        return text
    step, *rest = path
    if isinstance(value, list):
        return [
            change(part, tuple(rest), text, is_key=is_key) if index == step else part
            for index, part in enumerate(value)
        ]
    if is_key and not rest:
        return {(text if key == step else key): part for key, part in value.items()}
    return {key: change(part, tuple(rest), text, is_key=is_key) if key == step else part for key, part in value.items()}


def read(value: Any, path: Steps) -> Any:
    for step in path:
        value = value[step]
    return value


@dataclass(frozen=True)
class Documents:
    """Good documents by name, with what reads them: hostile text and wrong kinds are put in each place.

    `load` returns what a reader makes of a document, None where it is refused in a proper way. `check`
    asserts what is true of something that was read with a text at a place.
    """

    good: Mapping[str, Any]
    load: Callable[[str, bytes], Any]
    check: Callable[[Place, str, Any], None]

    def find_places(self, *names: str) -> list[Place]:
        """Return each place of the named documents, of all without a name."""
        return [(name, *place) for name in names or self.good for place in find_places(self.good[name])]

    def put_text(self, place: Place, text: str) -> None:
        """Put a text in a place that has a text or is a key."""
        name, path, is_key = place
        if not is_key and not isinstance(read(self.good[name], path), str):
            return
        found = self.load(name, json.dumps(change(self.good[name], path, text, is_key=is_key)).encode())
        if found is not None:
            self.check(place, text, found)

    def put_texts(self, name: str, *, every: int = 1) -> None:
        """Put each hostile text in each place; with `every` n, an nth of the texts, another one at each place."""
        for index, place in enumerate(self.find_places(name)):
            for text in HOSTILE[index % every :: every]:
                self.put_text(place, text)

    def put_wrong(self, name: str, *, every: int = 1) -> None:
        """Put each wrong kind in each place, by turns as in `put_texts`."""
        paths = [path for _, path, is_key in self.find_places(name) if not is_key]
        for index, wrong in enumerate(WRONG):
            for path in paths[index % every :: every]:
                self.load(name, put(self.good[name], path, wrong))
