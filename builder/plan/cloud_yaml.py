# SPDX-License-Identifier: MIT
"""Read YAML 1.1 as PyYAML does, which cloud-init uses, with limits: the text may come from anywhere.

A few nested aliases can stand for more values than a schema check can visit. Some texts have the form of a number or a
date that Python cannot hold. No message repeats a value, which may be a password.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MantissaNoDotYAML1_1Warning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from builder.recipe.yaml_reader import BAD_VALUE, MAX_NODES, MAX_NUMBER

Steps = tuple[str | int, ...]
LARGEST = 10**MAX_NUMBER


class ValueFault(Exception):
    """A value that cannot be used, with its path."""

    def __init__(self, problem: str, path: Steps = ()) -> None:
        super().__init__(problem)
        self.problem, self.path = problem, path


def load_cloud_yaml(text: str, root: Node | None = None) -> Any:
    """Return the content of a text. Raises YAMLError for a syntax error, ValueFault for a value that cannot be used.

    root  root node of the text, if it is already composed
    """
    try:
        return _load(text, root or YAML(typ="safe", pure=True).compose(text))
    except RecursionError:
        raise ValueFault("nested too deep") from None


def _load(text: str, root: Node | None) -> Any:
    for count, _ in enumerate(_walk(root, (), frozenset())):
        if count >= MAX_NODES:
            raise ValueFault(f"found more than {MAX_NODES} values through aliases; write them without")
    try:
        with warnings.catch_warnings():  # It would print lines about 1e5.
            warnings.simplefilter("ignore", MantissaNoDotYAML1_1Warning)
            content = _make_reader().load(text)
    except BAD_VALUE:
        raise ValueFault("found a number or a date that cannot be one; quote it", _find_odd(root)) from None
    for path, value in _list_values(content, ()):
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueFault(f"found a number of more than {MAX_NUMBER} digits; expected text in quotes", path)
    return content


def _make_reader() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)  # `no` is false, 0644 a number.
    return yaml


def _walk(node: Node | None, path: Steps, above: frozenset[int]) -> Iterator[tuple[Steps, Node]]:
    """Yield all nodes with their paths, aliases included. Raises ValueFault for a node that contains itself."""
    if node is None:
        return
    if id(node) in above:
        raise ValueFault("found an alias inside its own value; write it without", path)
    yield path, node
    if isinstance(node, ScalarNode):
        return
    named = ((key.value, item) for key, item in node.value) if isinstance(node, MappingNode) else enumerate(node.value)
    for step, item in named:
        # A key may be a list.
        yield from _walk(item, (*path, step if isinstance(step, int) else str(step)), above | {id(node)})


def _find_odd(root: Node | None) -> Steps:
    """Return the path of the first value that has the form of a number or date, but is not a valid one."""
    for path, node in _walk(root, (), frozenset()):
        if isinstance(node, ScalarNode) and (_is_odd(f"!<{node.tag}> {json.dumps(node.value)}") or _is_odd(node.value)):
            return path
    return ()


def _is_odd(text: str) -> bool:
    try:
        _make_reader().load(text)
    except YAMLError:
        return False
    except BAD_VALUE:
        return True
    return False


def _list_values(value: object, path: Steps) -> Iterator[tuple[Steps, object]]:
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield path, key
            yield from _list_values(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _list_values(item, (*path, index))
