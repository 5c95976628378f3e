# SPDX-License-Identifier: MIT
"""Check the answers of this program in a container, which are untrusted output.

Tools and scripts of boards run in the container too, and an older image may contain another version of the program.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from builder.engine.finding import Finding
from builder.errors import ToolError
from builder.recipe.described import explain
from builder.recipe.facts import ByteCount, Moment
from builder.recipe.values import AnyText, FrozenModel, Word, text
from builder.text import make_line

LoginName = Annotated[
    str, text(r"^([A-Za-z0-9_][A-Za-z0-9._-]*)?$", "the name of a user: letters, digits and . _ -, or nothing")
]
"""It becomes part of a command line that is shown."""
BUG = "this is a bug; please report it"


class CacheListing(FrozenModel):
    """An entry of a cache."""

    kind: Word
    name: AnyText
    size: ByteCount
    used: Moment


class FindingRow(FrozenModel):
    """A result of the doctor."""

    area: AnyText
    ok: bool
    text: AnyText
    fix: AnyText = ""


class MachineRow(FrozenModel):
    """Command line that starts a prepared machine, and the user of its login."""

    argv: list[AnyText] = Field(min_length=1)
    user: LoginName


class PullProgress(FrozenModel, extra="ignore"):
    """A line of the Engine's output during a pull."""

    message: AnyText | None = None
    """The reason if the pull does not start."""
    error: AnyText | None = None
    status: AnyText | None = None
    progress: AnyText | None = None


_ITEMS = TypeAdapter(list[CacheListing])
_FINDINGS = TypeAdapter(list[FindingRow])


def load_items(answer: str) -> list[CacheListing]:
    """Decode the output of `cache --json`; ToolError if it is invalid."""
    try:
        return _ITEMS.validate_json(answer)
    except ValidationError as error:
        raise _refuse("cache", error, answer) from None


def load_findings(answer: str) -> list[Finding]:
    """Decode the output of `doctor --json`; ToolError if it is invalid."""
    try:
        return [Finding(row.area, row.ok, row.text, row.fix) for row in _FINDINGS.validate_json(answer)]
    except ValidationError as error:
        raise _refuse("doctor", error, answer) from None


def load_machine(result: Any) -> MachineRow:
    """Decode the result of `boot --prepare`; ToolError if it is invalid."""
    try:
        return MachineRow.model_validate(result)
    except ValidationError as error:
        raise _refuse("boot", error, "") from None


def load_news(line: bytes) -> PullProgress:
    """Decode a line of the Engine's output during a pull; an invalid line gives an empty value."""
    try:
        return PullProgress.model_validate_json(line)
    except ValidationError:
        return PullProgress()


def _refuse(verb: str, error: ValidationError, answer: str) -> ToolError:
    excerpt = f"; found {make_line(answer[:200])}" if answer else ""
    return ToolError(f"invalid output of `{verb}` in the container: {explain(error)}{excerpt}", hint=BUG)
