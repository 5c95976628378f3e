# SPDX-License-Identifier: MIT
"""Make the JSON Schema of a board file, for editors: completion, help, mistakes underlined while typing.

It is the schema of the models, with fewer required keys: a child omits the keys of its parent. So no key of a merged
mapping is required, and null removes a key. Values inside lists are not merged and keep their required keys.
"""

from __future__ import annotations

import json
from typing import Any

from builder.recipe.model import Recipe

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NULL = {"type": "null"}
Schema = dict[str, Any]


def recipe_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a board.yaml."""
    schema = Recipe.model_json_schema()
    definitions: Schema = schema["$defs"]
    in_lists = _models_in_lists(schema)
    relaxed = {
        name: _without_null(model) if name in in_lists else _relaxed(model) for name, model in definitions.items()
    }
    return {
        "$schema": _DIALECT,
        "title": "Boardwright board",
        **{key: value for key, value in _relaxed(schema).items() if key not in ("$defs", "title")},
        "$defs": relaxed,
    }


def render_schema() -> str:
    """Return the schema as the text of boards/schema.json."""
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False) + "\n"


def _models_in_lists(schema: Schema) -> set[str]:
    models = [schema, *schema["$defs"].values()]
    properties = [value for model in models for value in model.get("properties", {}).values()]
    references = [value["items"].get("$ref", "") for value in properties if value.get("type") == "array"]
    return {reference.rpartition("/")[2] for reference in references}


def _relaxed(model: Schema) -> Schema:
    """Return the schema of a merged mapping: no key is required, null is allowed."""
    if "properties" not in model:
        return model
    properties = {key: _nullable(value) for key, value in model["properties"].items()}
    return {key: value for key, value in model.items() if key != "required"} | {"properties": properties}


def _nullable(value: Schema) -> Schema:
    if isinstance(value.get("additionalProperties"), dict):
        value = value | {"additionalProperties": _nullable(value["additionalProperties"])}
        value.pop("minProperties", None)
    if isinstance(value.get("patternProperties"), dict):
        value = value | {
            "patternProperties": {key: _nullable(part) for key, part in value["patternProperties"].items()}
        }
    if value.get("description") and "anyOf" not in value:
        about = {"description": value["description"]}
        return about | {"anyOf": [{key: part for key, part in value.items() if key != "description"}, _NULL]}
    options = value.get("anyOf", [value])
    rest = {key: part for key, part in value.items() if key == "description"}
    return rest | {"anyOf": [*(option for option in options if option != _NULL), _NULL]}


def _without_null(model: Schema) -> Schema:
    """Return the schema of a model that is used in lists only, where null cannot remove a key."""
    properties = {}
    for key, value in model["properties"].items():
        options = [option for option in value.get("anyOf", ()) if option != _NULL]
        rest = {name: part for name, part in value.items() if name not in ("anyOf", "default") or part is not None}
        if len(options) == 1:
            rest = {name: part for name, part in rest.items() if name != "anyOf"} | options[0]
        properties[key] = rest
    return model | {"properties": properties}
