# SPDX-License-Identifier: MIT
"""Every model of the program: no text without a pattern, no number without an end, no part without a type.

A model is how a file or an answer from outside is read. What one leaves open, a stranger fills.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

import builder
from builder.recipe.values import ALLOWED, FrozenModel, Word, text
from builder.units import SIZE

SCRIPTS = ("builder.__main__", "builder.rootfs.cloud_distro", "builder.verify.live.try_console")
"""What does something when it is imported, or runs in images only."""
CLOSED = {"pattern", "enum", "const", "format"}


def import_all() -> None:
    for module in pkgutil.walk_packages(builder.__path__, "builder."):
        if module.name not in SCRIPTS:
            importlib.import_module(module.name)


def find_models(base: type[BaseModel] = BaseModel) -> Iterator[type[BaseModel]]:
    """Yield all models of the program."""
    for model in base.__subclasses__():
        if model.__module__.startswith("builder."):
            yield model
        yield from find_models(model)


import_all()
MODELS = sorted(set(find_models()), key=lambda model: (model.__module__, model.__qualname__))


def find_open(schema: Any, path: str = "") -> Iterator[str]:
    """Yield the places of a JSON Schema where anything may stand."""
    for name, part in schema.get("properties", {}).items():
        yield from find_open(part, f"{path}.{name}".lstrip("."))
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for part in schema.get(name, []):
            yield from find_open(part, path)
    yield from find_open_value(schema, path)
    if schema.get("type") == "array" and "prefixItems" not in schema:
        yield from find_open(schema.get("items", {}), f"{path}[]")
    if schema.get("type") == "object" and "properties" not in schema:
        yield from find_open_mapping(schema, path)


def find_open_value(schema: Any, path: str) -> Iterator[str]:
    kinds = {"type", "$ref", "const", "enum", "anyOf", "oneOf", "allOf"}
    if not schema.keys() & kinds:
        yield f"{path}: anything"
    if schema.get("type") == "string" and not schema.keys() & CLOSED:
        yield f"{path}: any text"
    if schema.get("type") in ("integer", "number") and not schema.keys() & CLOSED:
        if "minimum" not in schema and "exclusiveMinimum" not in schema:
            yield f"{path}: any small number"
        if "maximum" not in schema and "exclusiveMaximum" not in schema:
            yield f"{path}: any large number"


def find_open_mapping(schema: Any, path: str) -> Iterator[str]:
    for part in schema.get("patternProperties", {}).values():
        yield from find_open(part, f"{path}{{}}")
    rest = schema.get("additionalProperties", "patternProperties" not in schema)
    if isinstance(rest, dict):
        yield from find_open(rest, f"{path}{{}}")
    if rest and not schema.get("propertyNames", {}).keys() & {*CLOSED, "$ref"}:
        yield f"{path}: any key"
    if rest is True:
        yield f"{path}: anything"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.__module__}.{model.__qualname__}")
def test_no_text_is_without_a_pattern(model: type[BaseModel]) -> None:
    schema = model.model_json_schema()
    parts = {model.__name__: schema, **schema.get("$defs", {})}
    assert [f"{name}.{place}" for name, part in parts.items() for place in find_open(part)] == []


def test_all_models_are_found() -> None:
    names = {model.__name__ for model in MODELS}
    assert {"Recipe", "PackagedImage", "Release", "Channel", "Record", "Statement", "SpecReport", "_Meta"} <= names
    assert len(MODELS) > 40


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.__module__}.{model.__qualname__}")
def test_all_have_one_base(model: type[BaseModel]) -> None:
    """Frozen, and strict: a number in quotes is no number."""
    assert issubclass(model, FrozenModel)


class Outer(FrozenModel):
    """Everything that must not be there."""

    plain: str
    key: dict[str, Word]
    value: dict[Word, str]
    deep: list[dict[Word, tuple[str | None, ...]]]
    either: Literal[""] | str
    whatever: dict[Word, Any]
    number: int
    share: float = Field(ge=0)
    size: Annotated[int, Field(le=5)]
    long: Annotated[str, Field(max_length=5)]


def test_nothing_open_is_overlooked() -> None:
    assert set(find_open(Outer.model_json_schema())) == {
        "plain: any text",
        "key: any key",
        "value{}: any text",
        "deep[]{}[]: any text",
        "either: any text",
        "whatever{}: anything",
        "number: any small number",
        "number: any large number",
        "share: any large number",
        "size: any small number",
        "long: any text",
    }


def test_a_pattern_has_one_meaning() -> None:
    pattern, words = next(iter(ALLOWED.items()))
    assert text(pattern, words)
    with pytest.raises(ValueError, match="found a second description"):
        text(pattern, "something else")


def test_every_pattern_has_words() -> None:
    """A person is told what a pattern means, not the pattern."""
    found = {part for model in MODELS for part in find_patterns(model.model_json_schema())}
    sizes = {part for part in found if SIZE.pattern in part}
    assert found - sizes <= set(ALLOWED)
    assert len(sizes) == 1, "what is no size is told by load_size"


def find_patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        yield from schema.get("patternProperties", {})
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for part in parts:
        yield from find_patterns(part)
