# SPDX-License-Identifier: MIT
"""Text that is not ours, made safe for what it is printed on.

A name, a title or a line of a tool may hold what a terminal or a CI system obeys: escape sequences, a carriage return
that overwrites what stands there, characters that change the direction of reading, `::error::` at the start of a line.
All that is printed goes through `make_visible` or `dump_json`, in the places that print (builder.log,
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
"""How a line of a log begins that a runner of GitHub obeys; the older form counts anywhere in a line.
https://docs.github.com/actions/reference/workflow-commands-for-github-actions"""


def make_visible(text: str) -> str:
    """Return text with all that is not to be seen as Python writes it: ESC as \\x1b, a surrogate as \\udcff.

    Line breaks and tabs stay. What a CI system would take for a command gets a backslash.
    """
    if not text.isprintable():
        text = "".join(char if _is_shown(char) else char.encode("unicode_escape").decode() for char in text)
    if "::" in text:
        text = _COMMAND.sub(r"\1\\::", text)
    return text.replace(_OLD_COMMAND, "#\\#[")


def make_line(text: str) -> str:
    """Return text on one line: as `make_visible`, and line breaks and tabs in words too."""
    return make_visible(text.replace("\n", "\\n").replace("\t", "\\t"))


def dump_json(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Return JSON in which all characters can be seen, and no CI system finds a command; it means the same."""
    text = json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=False)
    text = text.replace(_OLD_COMMAND, "#\\u0023[")  # The other form begins a line, which no text in JSON does.
    if text.isprintable():
        return text
    return "".join(char if _is_shown(char) else json.dumps(char)[1:-1] for char in text)


def find_hidden(text: str, *, allowed: str = _BREAKS) -> str:
    """Return the first character that cannot be seen, "" when there is none; line breaks and tabs are `allowed`."""
    return "" if text.isprintable() else next((char for char in text if not _is_shown(char, allowed)), "")


def _is_shown(char: str, allowed: str = _BREAKS) -> bool:
    return char.isprintable() or char in allowed or unicodedata.category(char) == "Zs"


class SafeConsole(Console):
    """A console of rich that shows what cannot be seen in words, wherever in a table or a line it is."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return what a line or a cell says; here, so that a table is wide enough for it."""
        return super().render_str(make_visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what rich would print; escape sequences are rich's own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=make_visible(segment.text))


class TextTable(Table):
    """A table without lines, whose cells are text: a title with brackets is shown as it is."""

    def __init__(self, *columns: str, title: str | None = None) -> None:
        super().__init__(*columns, title=title, box=None, pad_edge=False)

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """Add a row; a cell with colours is a Text."""
        plain = [Text(make_visible(cell)) if isinstance(cell, str) else cell for cell in cells]
        super().add_row(*plain, style=style, end_section=end_section)
