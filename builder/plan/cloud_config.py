# SPDX-License-Identifier: MIT
"""Check user-data and network-config by cloud-init's JSON schemas.

The schemas are data files (schemas/) of the cloud-init version in their first line. cloud-init warns of an unknown key
and continues; with a value of a wrong type the module that reads it fails. Messages never show values, which may be
passwords.
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
from builder.recipe.phrases import join_options

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
"""Names of JSON Schema's types in messages."""


@dataclass(frozen=True)
class ConfigFault:
    """One mistake in a file."""

    path: tuple[str | int, ...]
    text: str
    is_grave: bool
    """True if it is more than an unknown key."""


@cache
def load_schema(name: str) -> Mapping[str, Any]:
    """Return the schema of a file name, without .json."""
    schema: Mapping[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return schema


def find_faults(content: object, schema: Mapping[str, Any]) -> list[ConfigFault]:
    """Return the faults of a content by a schema. Unknown keys are reported where there is no worse fault."""
    grave = [fault for error in _validate(content, _relax(schema)) for fault in _explain(error, is_grave=True)]
    paths = [fault.path for fault in grave]
    minor = [fault for error in _validate(content, schema) for fault in _explain(error, is_grave=False)]
    return list(dict.fromkeys(grave + [fault for fault in minor if not any(_meet(fault.path, path) for path in paths)]))


def _validate(content: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    from jsonschema.validators import validator_for  # noqa: PLC0415 - slow to load, and most plans need none
    from referencing import Registry  # noqa: PLC0415

    # An empty registry: the default one fetches a `$ref` to a URL or a file.
    yield from validator_for(schema)(schema, registry=Registry()).iter_errors(content)


def _relax(schema: Any) -> Any:
    """Return a schema that accepts unknown keys; then several alternatives may fit."""
    if isinstance(schema, list):
        return [_relax(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if (key, value) != ("additionalProperties", False)}
    return {"anyOf" if key == "oneOf" and "anyOf" not in kept else key: _relax(value) for key, value in kept.items()}


def _meet(one: Sequence[str | int], other: Sequence[str | int]) -> bool:
    length = min(len(one), len(other))
    return tuple(one[:length]) == tuple(other[:length])


def _explain(error: Any, *, is_grave: bool) -> Iterator[ConfigFault]:
    leaf = _find_leaf(error)
    path = tuple(leaf.absolute_path)
    if leaf.validator != "additionalProperties":
        yield ConfigFault(path, _say(leaf), is_grave)
        return
    known = [*leaf.schema.get("properties", {})]
    patterns = [*leaf.schema.get("patternProperties", {})]
    for key in leaf.instance:
        if key not in known and not any(re.search(pattern, str(key)) for pattern in patterns):
            yield ConfigFault(
                (*path, key), f"found a key that cloud-init does not know{suggest(str(key), known)}", is_grave
            )


def _find_leaf(error: Any) -> Any:
    """Return the error of the one alternative that is for a value of this type, or the error itself."""
    while error.context:
        alternatives: dict[object, list[Any]] = {}
        for part in error.context:
            alternatives.setdefault(part.relative_schema_path[0], []).append(part)
        path = list(error.absolute_path)
        fitting = [parts for parts in alternatives.values() if not any(_is_for_others(part, path) for part in parts)]
        if len(fitting) != 1:
            return error
        (error, *_) = fitting[0]
    return error


def _is_for_others(error: Any, path: list[str | int]) -> bool:
    """Return whether an alternative is for values of another type, or for mappings with another `type`."""
    names_another = error.validator in ("enum", "const") and list(error.absolute_path) == [*path, "type"]
    return names_another or _is_of_type(error, path)


def _is_of_type(error: Any, path: list[str | int]) -> bool:
    return error.validator == "type" and list(error.absolute_path) == path


def _say(error: Any) -> str:
    kind, wanted = error.validator, error.validator_value
    if kind == "type":
        return f"found {_kind_of(error.instance)}; expected {' or '.join(_types(error))}"
    if kind == "required":
        missing = [key for key in wanted if key not in error.instance]
        return f"missing: {', '.join(missing)}"
    if kind == "enum":
        return f"found another value; expected {join_options(json.dumps(option) for option in wanted)}"
    types = [
        name for part in error.context or () if _is_of_type(part, list(error.absolute_path)) for name in _types(part)
    ]
    if types:
        return f"found {_kind_of(error.instance)}; expected {' or '.join(dict.fromkeys(types))}"
    return f"does not fit cloud-init's schema: {kind} {json.dumps(wanted)[:80]}"


def _types(error: Any) -> list[str]:
    wanted = error.validator_value
    return [KINDS.get(name, name) for name in ([wanted] if isinstance(wanted, str) else wanted)]


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
