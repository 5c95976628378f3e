# SPDX-License-Identifier: MIT
"""Read a YAML 1.2 file into a tree with positions.

Errors name the position of what a recipe must not have: bytes that are not UTF-8, duplicate keys, keys that are not
text, tags, merge keys, a second document. Aliases are allowed, but with them a document may have at most MAX_NODES
values: forty lines of aliases can stand for a billion.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning
from ruamel.yaml.nodes import Node as YamlNode
from ruamel.yaml.nodes import ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from builder.recipe.nodes import MAX_SHOWN, List, Map, MapEntry, Node, Position, Problem, Scalar, shorten
from builder.system.files import InputError, read_bytes
from builder.text import find_hidden

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000
MAX_DEPTH = 20
MAX_NUMBER = 40
"""Most characters of a number."""

BAD_VALUE = (ValueError, OverflowError, IndexError, KeyError)
"""What ruamel raises for a value that has the form of a number or a date, or a tag that says so, and is none: the last
two for `!!int ''` and `!!bool x`."""
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = (_TAG + "str", _TAG + "timestamp")
_VALUE_TAGS = (_TAG + "null", _TAG + "bool", _TAG + "int", _TAG + "float")
_COLLECTION_TAGS = (_TAG + "map", _TAG + "seq")

_PLAINER_WORDS = {
    "found character '\\t' that cannot start any token": "found a tab; expected spaces for the indent",
    "mapping values are not allowed here": "found an unexpected colon; check the indent, or quote the text",
    "but found another document": "found a second document; expected one",
}


def load_tree(file: Path, problems: list[Problem]) -> Map | None:
    """Return the mapping in `file`, or None if nothing can be used; add all mistakes to `problems`."""
    text = read_text(file, problems, within=file.parent)
    root = None if text is None else compose(text, file, problems)
    if root is None:
        return None
    reader = _Reader(file, problems)
    tree = reader.read(root, depth=0)
    if reader.count > MAX_NODES:
        return None
    if isinstance(tree, Map):
        return tree
    if tree is not None:
        problems.append(Problem(tree.at, f"found {describe(tree)}; expected a mapping (`key: value` lines)"))
    return None


def read_text(file: Path, problems: list[Problem], *, within: Path | None = None) -> str | None:
    """Return the UTF-8 text of a file, or None; add the mistake to `problems`."""
    try:
        data = read_bytes(file, limit=MAX_BYTES, within=within)
    except InputError as error:
        problems.append(Problem(Position(file, 1, 1), error.problem))
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        column = len(before) - before.rfind("\n")
        where = Position(file, before.count("\n") + 1, column)
        problems.append(Problem(where, f"found the byte 0x{data[error.start]:02x}; expected UTF-8"))
        return None


def compose(text: str, file: Path, problems: list[Problem]) -> YamlNode | None:
    """Return the root node of a YAML text, or None; add a syntax error or an empty text to `problems`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # Valid YAML; the later anchor counts.
            root: YamlNode | None = YAML(typ="safe", pure=True).compose(text)
    except ReaderError as error:
        where = _position_of_index(text, error.position, file)
        problems.append(Problem(where, f"found the character U+{error.character:04X}; expected one that YAML allows"))
    except MarkedYAMLError as error:
        problems.append(_syntax_problem(error, file))
    except RecursionError:  # The composer recurses before the depth can be counted.
        problems.append(Problem(Position(file, 1, 1), f"nested too deep; expected at most {MAX_DEPTH} levels"))
    else:
        if root is None:
            problems.append(Problem(Position(file, 1, 1), "the file is empty; expected a mapping (`key: value` lines)"))
        return root
    return None


def _position_of_index(text: str, index: int, file: Path) -> Position:
    before = text[:index]
    return Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _syntax_problem(error: MarkedYAMLError, file: Path) -> Problem:
    # A quote or bracket that is never closed is an error at the end of the file; its start is the better position.
    is_open = "end of stream" in error.problem or "stream end" in error.problem
    mark = (error.context_mark if is_open else None) or error.problem_mark
    plainer = _PLAINER_WORDS.get(error.problem)
    where = Position(file, mark.line + 1, mark.column + 1)
    problem = shorten(error.problem, 2 * MAX_SHOWN)  # It repeats an alias or a tag, which may be long.
    return Problem(where, plainer or f"not YAML: {problem}" + (f" {error.context}" if error.context else ""))


def describe(node: Node) -> str:
    """Return a description of a node, for a message that begins with "found"."""
    if isinstance(node, Map):
        return "a mapping"
    if isinstance(node, List):
        return "a list" if node.items else "an empty list"
    if node.value is None:
        return "nothing (null)"
    if isinstance(node.value, bool):
        return f"the boolean {node.text}"
    if isinstance(node.value, int | float):
        return f"the number {shorten(node.text)}"
    return repr(shorten(node.value))


@dataclass
class _Reader:
    """Converts ruamel's nodes into ours, and counts them."""

    file: Path
    problems: list[Problem]
    count: int = 0
    scalars: YAML = field(default_factory=lambda: YAML(typ="safe", pure=True))

    def read(self, node: YamlNode, *, depth: int) -> Node | None:
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_NODES:
            self._refuse_size(node, depth)
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if node.tag not in _COLLECTION_TAGS:
            self._refuse(node, f"found the tag {shorten(str(node.tag))}; expected no tag")
        if isinstance(node, SequenceNode):
            items = (self.read(item, depth=depth + 1) for item in node.value)
            return List(self._at(node), tuple(item for item in items if item is not None))
        return self._map(node, depth)

    def _refuse_size(self, node: YamlNode, depth: int) -> None:
        if depth > MAX_DEPTH:
            self._refuse(node, f"nested too deep; expected at most {MAX_DEPTH} levels")
            self.count = MAX_NODES + 1  # Stop: an alias inside itself would give this error again and again.
        elif self.count == MAX_NODES + 1:
            self._refuse(node, f"found more than {MAX_NODES} values through aliases; write them without")

    def _map(self, node: YamlNode, depth: int) -> Map:
        entries: dict[str, MapEntry] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, entries)
            value = self.read(value_node, depth=depth + 1)
            if key is None or value is None:
                continue
            at = self._at(key_node)
            if isinstance(value, Scalar) and value.text == "":
                value = Scalar(at, value.value, "")  # The mark of an empty value is on a later line.
            entries[key] = MapEntry(at, value)
        return Map(self._at(node), entries)

    def _key(self, node: YamlNode, entries: dict[str, MapEntry]) -> str | None:
        if isinstance(node, ScalarNode) and node.tag == _TAG + "merge":
            self._refuse(node, "found a merge key (<<); expected `extends`")
            return None
        key = self._scalar(node) if isinstance(node, ScalarNode) else None
        if key is None or not isinstance(key.value, str):
            kind = describe(key) if key else "a list or mapping"
            quoted = f', in quotes: "{shorten(key.text)}"' if key else ""
            self._refuse(node, f"found {kind} as a key; expected text{quoted}")
            return None
        if key.value in entries:
            first = entries[key.value].at.line
            self._refuse(node, f"found the key {shorten(key.value)!r} again; expected it once, as on line {first}")
            return None
        return key.value

    def _scalar(self, node: ScalarNode) -> Scalar:
        if node.tag in _VALUE_TAGS:
            return Scalar(self._at(node), self._value(node), node.value)
        if node.tag not in _TEXT_TAGS:  # A date stays text, as written.
            self._refuse(node, f"found the tag {shorten(str(node.tag))}; expected no tag")
        if hidden := find_hidden(node.value):
            self._refuse(node, f"found the invisible character U+{ord(hidden):04X}; remove it")
            return Scalar(self._at(node), "".join(char for char in node.value if not find_hidden(char)), node.value)
        return Scalar(self._at(node), node.value, node.value)

    def _value(self, node: ScalarNode) -> str | int | float | bool | None:
        if len(node.value) > MAX_NUMBER:  # Python reads longer hex numbers, but writes at most 4300 digits.
            found = f"found {shorten(node.value)!r}, a number of {len(node.value)} characters"
            self._refuse(node, f"{found}; expected at most {MAX_NUMBER}")
            return 0
        try:
            value: int | float | bool | None = self.scalars.constructor.construct_object(node)
        except BAD_VALUE:
            self._refuse(node, f"found {shorten(node.value)!r}; expected a value that fits the tag {node.tag}")
            return str(node.value)
        return value

    def _refuse(self, node: YamlNode, text: str) -> None:
        self.problems.append(Problem(self._at(node), text))

    def _at(self, node: YamlNode) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)
