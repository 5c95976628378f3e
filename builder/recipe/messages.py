# SPDX-License-Identifier: MIT
"""Everything wrong with a recipe, in words: one line each, all at once.

pydantic says what does not fit its types; `explain` turns that into sentences about the text a person wrote: where
it is, what was found, what is allowed, what was probably meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from builder.errors import RecipeError
from builder.recipe.model import Recipe
from builder.recipe.nodes import Map, Node, Position, Problem, Scalar, Steps, find_node, render_path, shorten, suggest
from builder.recipe.values import ALLOWED
from builder.recipe.yaml_reader import describe

SECRET = re.compile(r"(?<=://)[^/@\s]*@")
"""User and password of an address."""

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
"""pydantic's names of type errors."""


SHOWN = 100
"""Mistakes that are told at once: a file may have thousands."""
SCHEMA_HINT = "`boardwright schema` prints what a board file may say"


def check_no_problems(problems: Iterable[Problem], *, hint: str = SCHEMA_HINT) -> None:
    """Raise one RecipeError that says all of them, in the order of the files' lines."""
    lines = [str(problem) for problem in sorted(set(problems), key=lambda problem: (problem.at, problem.text))]
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"and {len(lines) - SHOWN} more"]
    if lines:
        raise RecipeError("\n".join(lines), hint=hint)


def explain(error: ValidationError, tree: Map) -> list[Problem]:
    """Return pydantic's findings as problems with positions, one for each value."""
    by_place: dict[Steps, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        path, _ = find_node(tree, details["loc"])
        place = details["loc"] if details["type"] == "missing" else path
        by_place.setdefault(place, []).append(details)
    return [_explain_place(place, details, tree) for place, details in by_place.items()]


def _explain_place(place: Steps, details: list[ErrorDetails], tree: Map) -> Problem:
    # A value of two allowed kinds ("auto" or a size) is refused twice; the literal is then an addition.
    ordered = sorted(details, key=lambda one: one["type"] == "literal_error")
    first = ordered[0]
    if first["type"] == "missing":
        return _explain_missing(place, tree)
    if first["type"] == "extra_forbidden":
        return _explain_unknown(place, tree)
    _, node = find_node(tree, place)
    if first["loc"][-1] == "[key]":
        words = f"found this key; allowed: {_allowed(first)}"
        return Problem(_key_position(place, tree), f"{render_path(place)}: {words}")
    words = _explain_value(first, node)
    words += "".join(f", or {_choices(other)}" for other in ordered[1:])
    return Problem(node.at, f"{render_path(place)}: {words}")


def _explain_missing(place: Steps, tree: Map) -> Problem:
    _, parent = find_node(tree, place[:-1])
    key = str(place[-1])
    about = " ".join((_model_at(place[:-1]).model_fields[key].description or "").split())
    removed = parent.removed.get(key) if isinstance(parent, Map) else None
    if removed:
        return Problem(removed, f"{render_path(place)}: found nothing (null), which removes it; needed: {about}")
    return Problem(parent.at, f"{render_path(place)}: missing; needed: {about}")


def _explain_unknown(place: Steps, tree: Map) -> Problem:
    options = list(_model_at(place[:-1]).model_fields)
    meant = suggest(str(place[-1]), options)
    words = f"found an unknown key; allowed: {', '.join(options)}{meant}"
    return Problem(_key_position(place, tree), f"{render_path(place)}: {words}")


def _explain_value(details: ErrorDetails, node: Node) -> str:
    kind = details["type"]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    found = f"found {SECRET.sub('…', describe(node))}"
    if kind in ("literal_error", "enum"):
        meant = suggest(str(node.value), _quoted(details)) if isinstance(node, Scalar) else ""
        return f"{found}; allowed: {_choices(details)}{meant}"
    if kind == "string_type" and isinstance(node, Scalar) and node.value is not None:
        return f'{found}; quote it: "{shorten(node.text)}"'
    return f"{found}; allowed: {_allowed(details)}"


def _allowed(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    words = {
        "too_short": f"at least {context.get('min_length')}",
        "string_too_short": "some text",
        "string_too_long": f"at most {context.get('max_length')} characters",
        "greater_than_equal": f"at least {context.get('ge')}",
        "less_than_equal": f"at most {context.get('le')}",
    }
    if kind == "string_pattern_mismatch":
        return ALLOWED[context["pattern"]]
    return _TYPES.get(kind) or words.get(kind) or details["msg"]


def _choices(details: ErrorDetails) -> str:
    return ", ".join(_quoted(details))


def _quoted(details: ErrorDetails) -> list[str]:
    # pydantic joins the choices for people: "'mbr' or 'gpt'"
    expected: str = details["ctx"]["expected"]
    return expected.replace(" or ", ", ").replace("'", "").split(", ")


def _key_position(place: Steps, tree: Map) -> Position:
    _, parent = find_node(tree, place[:-1])
    entries: Mapping[str, Any] = parent.entries if isinstance(parent, Map) else {}
    entry = entries.get(str(place[-1]))
    return entry.at if entry else parent.at


def _model_at(path: Steps) -> type[BaseModel]:
    """Return the model that describes the mapping at `path` of a recipe."""
    kind: Any = Recipe
    for step in path:
        kind = kind.model_fields[step].annotation if _is_model(kind) else get_args(kind)[-1]
        kind = _concrete(kind)
    model: type[BaseModel] = kind
    return model


def _concrete(kind: Any) -> Any:
    """Return a type without None."""
    options = get_args(kind)
    return options[0] if type(None) in options else kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
