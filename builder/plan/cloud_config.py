# SPDX-License-Identifier: MIT
"""What cloud-init will say of a file, by its own JSON schemas: user-data and network-config.

The schemas are kept as data (schemas/), of the cloud-init that their first line names. cloud-init warns of a key that
it does not know, and goes on; a value of another type lets the module that reads it fail. Values are never shown: they
may be passwords.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from builder.recipe.nodes import suggest

SCHEMAS = Path(__file__).with_name("schemas")
KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
"""JSON Schema's words for types, and ours."""


@dataclass(frozen=True)
class Fault:
    """One thing that a schema says against a file."""

    path: tuple[str | int, ...]
    text: str
    is_grave: bool
    """Whether more than an unknown key is wrong."""


@cache
def load_schema(name: str) -> Mapping[str, Any]:
    """Return one of the schemas that are kept here, by its file's name."""
    schema: Mapping[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return schema


def find_faults(content: object, schema: Mapping[str, Any]) -> list[Fault]:
    """Return what a schema says against a content, by its places: unknown keys where nothing worse is wrong."""
    grave = [fault for each in _validate(content, _relax(schema)) for fault in _explain(each, is_grave=True)]
    places = [fault.path for fault in grave]
    minor = [fault for each in _validate(content, schema) for fault in _explain(each, is_grave=False)]
    return list(dict.fromkeys(grave + [each for each in minor if not any(_meet(each.path, place) for place in places)]))


def _validate(content: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    from jsonschema.validators import validator_for  # noqa: PLC0415 - slow to load, and most plans need none
    from referencing import Registry  # noqa: PLC0415

    # Of its own: with the default one, a `$ref` to an address or a file is fetched.
    yield from validator_for(schema)(schema, registry=Registry()).iter_errors(content)


def _relax(schema: Any) -> Any:
    """Return a schema that takes unknown keys; of alternatives more than one may then fit."""
    if isinstance(schema, list):
        return [_relax(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if (key, value) != ("additionalProperties", False)}
    return {"anyOf" if key == "oneOf" and "anyOf" not in kept else key: _relax(value) for key, value in kept.items()}


def _meet(one: Sequence[str | int], other: Sequence[str | int]) -> bool:
    length = min(len(one), len(other))
    return tuple(one[:length]) == tuple(other[:length])


def _explain(error: Any, *, is_grave: bool) -> Iterator[Fault]:
    leaf = _find_leaf(error)
    place = tuple(leaf.absolute_path)
    if leaf.validator != "additionalProperties":
        yield Fault(place, _say(leaf), is_grave)
        return
    known = [*leaf.schema.get("properties", {})]
    for key in leaf.instance:
        if key not in known and not any(re.search(each, str(key)) for each in leaf.schema.get("patternProperties", {})):
            yield Fault((*place, key), f"found a key that cloud-init does not know{suggest(str(key), known)}", is_grave)


def _find_leaf(error: Any) -> Any:
    """Return what is wrong in the one alternative that is for a value of this type, or the error itself."""
    while error.context:
        alternatives: dict[object, list[Any]] = {}
        for each in error.context:
            alternatives.setdefault(each.relative_schema_path[0], []).append(each)
        place = list(error.absolute_path)
        fitting = [
            errors for errors in alternatives.values() if not any(_is_for_others(each, place) for each in errors)
        ]
        if len(fitting) != 1:
            return error
        (error, *_) = fitting[0]
    return error


def _is_for_others(error: Any, place: list[str | int]) -> bool:
    """Say whether an alternative is for values of another type, or for mappings whose `type` is another."""
    names_another = error.validator in ("enum", "const") and list(error.absolute_path) == [*place, "type"]
    return names_another or _is_of_type(error, place)


def _is_of_type(error: Any, place: list[str | int]) -> bool:
    return error.validator == "type" and list(error.absolute_path) == place


def _say(error: Any) -> str:
    kind, wanted = error.validator, error.validator_value
    if kind == "type":
        return f"found {_kind_of(error.instance)}; allowed: {' or '.join(_types(error))}"
    if kind == "required":
        missing = [key for key in wanted if key not in error.instance]
        return f"missing: {', '.join(missing)}"
    if kind == "enum":
        return f"found another value; allowed: {', '.join(json.dumps(each) for each in wanted)}"
    types = [
        each for part in error.context or () if _is_of_type(part, list(error.absolute_path)) for each in _types(part)
    ]
    if types:
        return f"found {_kind_of(error.instance)}; allowed: {' or '.join(dict.fromkeys(types))}"
    return f"does not fit cloud-init's schema: {kind} {json.dumps(wanted)[:80]}"


def _types(error: Any) -> list[str]:
    wanted = error.validator_value
    return [KINDS.get(each, each) for each in ([wanted] if isinstance(wanted, str) else wanted)]


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = {
        str: "text",
        int: "a whole number",
        float: "a number",
        list: "a list",
        dict: "a mapping",
        type(None): "nothing",
    }
    return kinds.get(type(value), "another type")
