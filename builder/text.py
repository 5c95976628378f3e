# SPDX-License-Identifier: MIT
"""Make text from outside safe to print.

A name, a title or a line of a tool may contain something that a terminal or a CI system obeys. Examples are escape
sequences, a carriage return that overwrites the line, characters that change the reading direction, and `::error::` at
the start of a line. All output goes through `make_visible` or `dump_json`, in the modules that print (builder.log,
builder.verbs.session).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

_BREAKS = "\n\t"
_COMMAND = re.compile(r"^(\s*)::", re.MULTILINE)
_OLD_COMMAND = "##["
"""Start of an older workflow command, which GitHub's runner obeys anywhere in a line.
https://docs.github.com/actions/reference/workflow-commands-for-github-actions"""


def make_visible(text: str) -> str:
    """Return text with invisible characters escaped as in Python: ESC as \\x1b, a surrogate as \\udcff.

    Line breaks and tabs stay. A command for a CI system gets a backslash.
    """
    if not text.isprintable():
        text = "".join(char if _is_shown(char) else char.encode("unicode_escape").decode() for char in text)
    if "::" in text:
        text = _COMMAND.sub(r"\1\\::", text)
    return text.replace(_OLD_COMMAND, "#\\#[")


def make_line(text: str) -> str:
    """Return text on one line: like `make_visible`, with line breaks and tabs escaped too."""
    return make_visible(text.replace("\n", "\\n").replace("\t", "\\t"))


def dump_json(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Return JSON without invisible characters and CI commands; it has the same meaning."""
    text = json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=False)
    text = text.replace(
        _OLD_COMMAND, "#\\u0023["
    )  # `::` counts at the start of a line only; text in JSON never starts one.
    if text.isprintable():
        return text
    return "".join(char if _is_shown(char) else json.dumps(char)[1:-1] for char in text)


def find_hidden(text: str, *, allowed: str = _BREAKS) -> str:
    """Return the first invisible character, or ""; characters in `allowed` do not count."""
    return "" if text.isprintable() else next((char for char in text if not _is_shown(char, allowed)), "")


def _is_shown(char: str, allowed: str = _BREAKS) -> bool:
    return char.isprintable() or char in allowed or unicodedata.category(char) == "Zs"


class SafeConsole(Console):
    """A rich console that escapes invisible characters in lines and tables."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text of a line or cell, escaped here so that a table gets wide enough for it."""
        return super().render_str(make_visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield rich's output with escaped text; escape sequences are rich's own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=make_visible(segment.text))


class TextTable(Table):
    """A table without borders, whose cells are plain text: brackets are no markup."""

    def __init__(self, *columns: str, title: str | None = None) -> None:
        super().__init__(*columns, title=title, box=None, pad_edge=False)

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """Add a row; pass a Text for a cell with colours."""
        plain = [Text(make_visible(cell)) if isinstance(cell, str) else cell for cell in cells]
        super().add_row(*plain, style=style, end_section=end_section)


def make_sentence(test: str) -> str:
    """Return the name of a test function, with its parameter in brackets, as a sentence."""
    name, bracket, parameter = test.partition("[")
    return name.removeprefix("test_").replace("_", " ") + (f" ({parameter.rstrip(']')})" if bracket else "")
