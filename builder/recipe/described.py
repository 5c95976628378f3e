# SPDX-License-Identifier: MIT
"""Read a JSON file by its model, or refuse it with the position of the fault.

A manifest, a record or a list may come from anywhere. If it does not fit its model, the error is one line: the file,
the position in it, and the expected type.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from builder.errors import BoardwrightError
from builder.recipe.nodes import shorten
from builder.recipe.values import ALLOWED
from builder.text import make_line

Described = TypeVar("Described", bound=BaseModel)


def load_described(
    kind: type[Described], content: str | bytes, name: object, *, error: type[BoardwrightError], hint: str
) -> Described:
    """Return the content of a file as its model; raise `error`, which has `name`, if it does not fit."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as problem:
        raise error(f"{make_line(str(name))}: {explain(problem)}", hint=hint) from None


def explain(error: ValidationError) -> str:
    """Return the first mistake on one line: position, what was found, what is expected."""
    first = error.errors(include_url=False)[0]
    where = ".".join(make_line(shorten(str(step))) for step in first["loc"]) or "the file"
    if first["type"] == "string_pattern_mismatch":
        return f"{where}: found {shorten(str(first['input']))!r}; expected {ALLOWED[first['ctx']['pattern']]}"
    return f"{where}: {make_line(first['msg'].removeprefix('Value error, '))}"
