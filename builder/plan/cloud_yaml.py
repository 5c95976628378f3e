# SPDX-License-Identifier: MIT
"""YAML 1.1 as PyYAML reads it, which cloud-init uses, within limits: the text may be a stranger's, or an image's.

A few aliases in each other are as long as one likes for who walks over them, as a schema does. Numbers and dates that
YAML takes by their form may be none that Python can hold. No message repeats a value: it may be a password.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MantissaNoDotYAML1_1Warning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from builder.recipe.yaml_reader import MAX_NODES, MAX_NUMBER

Steps = tuple[str | int, ...]
LARGEST = 10**MAX_NUMBER
_BAD_VALUE = (ValueError, OverflowError, IndexError, KeyError)
"""What ruamel raises for a value that has the form of a number or a date, or a tag that says so, and is none: the last
two for `!!int ''` and `!!bool x`."""


class ValueFault(Exception):
    """A value that cannot be used, and where it is."""

    def __init__(self, words: str, path: Steps = ()) -> None:
        super().__init__(words)
        self.words, self.path = words, path


def load_cloud_yaml(text: str, root: Node | None = None) -> Any:
    """Return what a text says. Raises YAMLError for what is no YAML, and ValueFault.

    root  the node that the text was composed to before
    """
    try:
        return _load(text, root or YAML(typ="safe", pure=True).compose(text))
    except RecursionError:
        raise ValueFault("nested too deep") from None


def _load(text: str, root: Node | None) -> Any:
    for count, _ in enumerate(_walk(root, (), frozenset())):
        if count >= MAX_NODES:
            raise ValueFault(f"aliases make this more than {MAX_NODES} values; write it without")
    try:
        with warnings.catch_warnings():  # It would print lines about 1e5.
            warnings.simplefilter("ignore", MantissaNoDotYAML1_1Warning)
            content = _make_reader().load(text)
    except _BAD_VALUE:
        raise ValueFault("found a number or a date that cannot be one; quote it", _find_odd(root)) from None
    for path, value in _list_values(content, ()):
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueFault(f"found a number of more than {MAX_NUMBER} digits; quote it", path)
    return content


def _make_reader() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)  # `no` is false, 0644 a number.
    return yaml


def _walk(node: Node | None, path: Steps, above: frozenset[int]) -> Iterator[tuple[Steps, Node]]:
    """Yield each node with its place, as often as it is met. Raises ValueFault for one that holds itself."""
    if node is None:
        return
    if id(node) in above:
        raise ValueFault("found an alias inside what it stands for; write it without", path)
    yield path, node
    if isinstance(node, ScalarNode):
        return
    named = ((key.value, each) for key, each in node.value) if isinstance(node, MappingNode) else enumerate(node.value)
    for step, each in named:
        # A key may be a list.
        yield from _walk(each, (*path, step if isinstance(step, int) else str(step)), above | {id(node)})


def _find_odd(root: Node | None) -> Steps:
    """Return the place of the value that has the form of a number or a date and cannot be read as one."""
    for path, node in _walk(root, (), frozenset()):
        if isinstance(node, ScalarNode) and (_is_odd(f"!<{node.tag}> {json.dumps(node.value)}") or _is_odd(node.value)):
            return path
    return ()


def _is_odd(text: str) -> bool:
    try:
        _make_reader().load(text)
    except YAMLError:
        return False
    except _BAD_VALUE:
        return True
    return False


def _list_values(value: object, path: Steps) -> Iterator[tuple[Steps, object]]:
    yield path, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield path, key
            yield from _list_values(each, (*path, str(key)))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _list_values(each, (*path, index))
