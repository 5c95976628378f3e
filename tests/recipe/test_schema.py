# SPDX-License-Identifier: MIT
"""The JSON Schema that editors use: equal to the models, and as lenient as files may be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builder.recipe.model import Recipe
from builder.recipe.schema import recipe_schema, render_schema
from builder.recipe.values import ALLOWED

BOARDS = Path(__file__).parents[2] / "boards"


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _walk(part)


def _name(part: dict[str, Any]) -> str:
    return str(part["$ref"]).removeprefix("#/$defs/")


def test_the_file_beside_the_boards_is_this_schema() -> None:
    text = (BOARDS / "schema.json").read_text(encoding="utf-8")
    assert text == render_schema(), "write it again: boardwright schema > boards/schema.json"


def test_boards_point_editors_at_it() -> None:
    for file in BOARDS.glob("*/board.yaml"):
        assert file.read_text().startswith("# yaml-language-server: $schema=../schema.json\n"), file


def test_says_its_dialect_and_every_key_with_a_description() -> None:
    schema = recipe_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(schema["properties"]) == list(Recipe.model_fields)
    for model in (schema, *schema["$defs"].values()):
        for key, value in model.get("properties", {}).items():
            # pydantic leaves a description out that is the referenced model's own
            described = [value, *(schema["$defs"][_name(part)] for part in _walk(value) if "$ref" in part)]
            assert any("description" in part for part in described), f"{model.get('title')}.{key}"
        if "properties" in model:
            assert model["additionalProperties"] is False


def test_every_reference_is_there() -> None:
    schema = recipe_schema()
    references = {part["$ref"] for part in _walk(schema) if "$ref" in part}
    assert references
    assert references <= {f"#/$defs/{name}" for name in schema["$defs"]}


def test_merged_mappings_need_nothing_and_take_null_but_list_items_do_neither() -> None:
    schema = recipe_schema()
    for name in ("Table", "Boot", "Docker", "Key", "Archive", "Blob", "Qemu", "User", "Kernel"):
        model = schema["$defs"][name]
        assert "required" not in model
        assert all({"type": "null"} in value["anyOf"] for value in model["properties"].values())
    assert "required" not in schema
    assert schema["$defs"]["Partition"]["required"] == ["name", "filesystem", "size", "mount", "label"]
    for name in ("Partition", "Hole", "Deb"):
        assert {"type": "null"} not in list(_walk(schema["$defs"][name]))


def test_a_group_of_a_parent_can_be_taken_away() -> None:
    packages = recipe_schema()["properties"]["packages"]
    groups = next(option for option in packages["anyOf"] if option.get("type") == "object")
    (names,) = groups["patternProperties"].values()
    assert {"type": "null"} in names["anyOf"]


def test_every_pattern_of_the_model_has_words() -> None:
    """A person is told what a pattern means, not the pattern."""
    schema = Recipe.model_json_schema()
    patterns = {part["pattern"] for part in _walk(schema) if isinstance(part.get("pattern"), str)}
    keys = {key for part in _walk(schema) for key in part.get("patternProperties", {})}
    sizes = {part["pattern"] for part in _walk(schema) if part.get("examples")}
    assert (patterns | keys) - sizes <= set(ALLOWED)
    assert len(sizes) == 1, "what is no size is told by load_size"


def test_no_text_is_without_a_pattern() -> None:
    """What a stranger writes reaches files that APT, shells, boot loaders and QEMU read."""
    schema = Recipe.model_json_schema()
    texts = [part for part in _walk(schema) if part.get("type") == "string"]
    assert [part for part in texts if not part.keys() & {"pattern", "enum", "const"}] == []
    assert len(texts) > 40
    mappings = [part for part in _walk(schema) if isinstance(part.get("additionalProperties"), dict)]
    assert [part for part in mappings if "propertyNames" not in part] == []


def test_is_json_with_a_last_newline() -> None:
    assert json.loads(render_schema()) == recipe_schema()
    assert render_schema().endswith("}\n")
