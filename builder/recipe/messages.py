# SPDX-License-Identifier: MIT
"""Error messages for recipes: one line for each mistake, all in one error.

`explain` turns the errors of pydantic into messages about the text of the recipe: its position, what was found, what is
expected, and what was probably meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from builder.errors import RecipeError
from builder.recipe.model import Recipe
from builder.recipe.nodes import (
    Map,
    Node,
    Position,
    Problem,
    Scalar,
    Steps,
    find_node,
    render_path,
    shorten,
    suggest,
)
from builder.recipe.phrases import join_options
from builder.recipe.values import ALLOWED
from builder.recipe.yaml_reader import describe

SECRET = re.compile(r"(?<=://)[^/@\s]*@")
"""User and password of a URL."""

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
"""Expected values, by pydantic's names of type errors."""


SHOWN = 100
"""Most mistakes in one error; a file may have thousands."""
SCHEMA_HINT = "`boardwright schema` prints the JSON Schema of a board file"


def check_no_problems(problems: Iterable[Problem], *, hint: str = SCHEMA_HINT) -> None:
    """Raise one RecipeError with all problems, in the order of their lines."""
    lines = [str(problem) for problem in sorted(set(problems), key=lambda problem: (problem.at, problem.text))]
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"and {len(lines) - SHOWN} more"]
    if lines:
        raise RecipeError("\n".join(lines), hint=hint)


def explain(error: ValidationError, tree: Map) -> list[Problem]:
    """Return pydantic's errors as problems with positions, one for each value."""
    by_path: dict[Steps, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        nearest, _ = find_node(tree, details["loc"])
        path = details["loc"] if details["type"] == "missing" else nearest
        by_path.setdefault(path, []).append(details)
    return [_explain_place(path, details, tree) for path, details in by_path.items()]


def _explain_place(path: Steps, details: list[ErrorDetails], tree: Map) -> Problem:
    # A value of two possible types ("auto" or a size) has two errors; the message names the literal last.
    ordered = sorted(details, key=lambda one: one["type"] == "literal_error")
    first = ordered[0]
    if first["type"] == "missing":
        return _explain_missing(path, tree)
    if first["type"] == "extra_forbidden":
        return _explain_unknown(path, tree)
    _, node = find_node(tree, path)
    if first["loc"][-1] == "[key]":
        message = f"found this key; expected {_allowed(first)}"
        return Problem(_key_position(path, tree), f"{render_path(path)}: {message}")
    message = _explain_value(first, node)
    message += "".join(f", or {_choices(other)}" for other in ordered[1:])
    return Problem(node.at, f"{render_path(path)}: {message}")


def _explain_missing(path: Steps, tree: Map) -> Problem:
    _, parent = find_node(tree, path[:-1])
    key = str(path[-1])
    about = " ".join((_model_at(path[:-1]).model_fields[key].description or "").split())
    removed = parent.removed.get(key) if isinstance(parent, Map) else None
    if removed:
        return Problem(removed, f"{render_path(path)}: found nothing (null), which removes it; expected: {about}")
    return Problem(parent.at, f"{render_path(path)}: missing; expected: {about}")


def _explain_unknown(path: Steps, tree: Map) -> Problem:
    options = list(_model_at(path[:-1]).model_fields)
    meant = suggest(str(path[-1]), options)
    message = f"found an unknown key; expected {join_options(options)}{meant}"
    return Problem(_key_position(path, tree), f"{render_path(path)}: {message}")


def _explain_value(details: ErrorDetails, node: Node) -> str:
    kind = details["type"]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    found = f"found {SECRET.sub('…', describe(node))}"
    if kind in ("literal_error", "enum"):
        meant = suggest(str(node.value), _quoted(details)) if isinstance(node, Scalar) else ""
        return f"{found}; expected {_choices(details)}{meant}"
    if kind == "string_type" and isinstance(node, Scalar) and node.value is not None:
        return f'{found}; expected text, in quotes: "{shorten(node.text)}"'
    return f"{found}; expected {_allowed(details)}"


def _allowed(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    limits = {
        "too_short": f"at least {context.get('min_length')}",
        "string_too_short": "some text",
        "string_too_long": f"at most {context.get('max_length')} characters",
        "greater_than_equal": f"at least {context.get('ge')}",
        "less_than_equal": f"at most {context.get('le')}",
    }
    if kind == "string_pattern_mismatch":
        return ALLOWED[context["pattern"]]
    return _TYPES.get(kind) or limits.get(kind) or details["msg"]


def _choices(details: ErrorDetails) -> str:
    return join_options(_quoted(details))


def _quoted(details: ErrorDetails) -> list[str]:
    # pydantic joins the choices to one text: "'mbr' or 'gpt'".
    expected: str = details["ctx"]["expected"]
    return expected.replace(" or ", ", ").replace("'", "").split(", ")


def _key_position(path: Steps, tree: Map) -> Position:
    _, parent = find_node(tree, path[:-1])
    entries: Mapping[str, Any] = parent.entries if isinstance(parent, Map) else {}
    entry = entries.get(str(path[-1]))
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
    """Return a type without its option None."""
    options = get_args(kind)
    return options[0] if type(None) in options else kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
