# SPDX-License-Identifier: MIT
"""Files of JSON that a model describes: read, or refused with the place of the fault.

A manifest, a record or a list may come from anywhere. What its model does not allow is an error of one line that names
the file and the place in it, with the words that belong to the type there.
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
    kind: type[Described], content: str | bytes, place: object, *, error: type[BoardwrightError], hint: str
) -> Described:
    """Return the content of a file by its model; `error`, which names `place`, when it does not fit."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as problem:
        raise error(f"{make_line(str(place))}: {explain(problem)}", hint=hint) from None


def explain(error: ValidationError) -> str:
    """Return the first thing that is wrong, on one line: where, what was found, what is allowed."""
    first = error.errors(include_url=False)[0]
    where = ".".join(make_line(shorten(str(step))) for step in first["loc"]) or "the file"
    if first["type"] == "string_pattern_mismatch":
        return f"{where}: found {shorten(str(first['input']))!r}; allowed: {ALLOWED[first['ctx']['pattern']]}"
    return f"{where}: {make_line(first['msg'].removeprefix('Value error, '))}"
