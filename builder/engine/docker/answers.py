# SPDX-License-Identifier: MIT
"""What this program answers in a container, read as what it is: output of something that runs elsewhere.

Tools and scripts of boards run in that container too, and an older image may have another program in it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from builder.engine.finding import Finding
from builder.errors import ToolError
from builder.recipe.described import explain
from builder.recipe.facts import ByteCount, Moment
from builder.recipe.values import AnyText, Frozen, Word, text
from builder.text import make_line

LoginName = Annotated[
    str, text(r"^([A-Za-z0-9_][A-Za-z0-9._-]*)?$", "the name of a user: letters, digits and . _ -, or nothing")
]
"""It becomes a word of a command line that is shown."""
BUG = "this is a bug; please report it"


class KeptItem(Frozen):
    """Something that a cache holds."""

    kind: Word
    name: AnyText
    size: ByteCount
    used: Moment


class FindingRow(Frozen):
    """Something that the doctor says."""

    area: AnyText
    ok: bool
    text: AnyText
    fix: AnyText = ""


class MachineRow(Frozen):
    """How a machine that was made is started, and who may log in."""

    argv: list[AnyText] = Field(min_length=1)
    user: LoginName


class BaseNews(Frozen, extra="ignore"):
    """A line of an Engine that pulls an image."""

    message: AnyText | None = None
    """Why it does not pull at all."""
    error: AnyText | None = None
    status: AnyText | None = None
    progress: AnyText | None = None


_ITEMS = TypeAdapter(list[KeptItem])
_FINDINGS = TypeAdapter(list[FindingRow])


def load_items(answer: str) -> list[KeptItem]:
    """Return what `cache --json` says; ToolError for anything else."""
    try:
        return _ITEMS.validate_json(answer)
    except ValidationError as error:
        raise _refuse("cache", error, answer) from None


def load_findings(answer: str) -> list[Finding]:
    """Return what `doctor --json` says; ToolError for anything else."""
    try:
        return [Finding(row.area, row.ok, row.text, row.fix) for row in _FINDINGS.validate_json(answer)]
    except ValidationError as error:
        raise _refuse("doctor", error, answer) from None


def load_machine(result: Any) -> MachineRow:
    """Return what `boot --prepare` has made; ToolError for anything else."""
    try:
        return MachineRow.model_validate(result)
    except ValidationError as error:
        raise _refuse("boot", error, "") from None


def load_news(line: bytes) -> BaseNews:
    """Return a line of what an Engine sends while it pulls; an empty one for a line that cannot be read."""
    try:
        return BaseNews.model_validate_json(line)
    except ValidationError:
        return BaseNews()


def _refuse(verb: str, error: ValidationError, answer: str) -> ToolError:
    found = f"; found {make_line(answer[:200])}" if answer else ""
    return ToolError(f"the {verb} in the container gave another answer: {explain(error)}{found}", hint=BUG)
