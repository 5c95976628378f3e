# SPDX-License-Identifier: MIT
"""One YAML 1.2 file, from bytes to a tree with positions.

What a recipe has no use for is refused here, with its place: bytes that are not UTF-8, duplicate keys, keys that are
not text, tags, merge keys, more than one document. Aliases are allowed, but a document that grows beyond MAX_NODES
by them is not: forty lines of aliases can say a billion values.
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

from builder.recipe.nodes import MAX_SHOWN, Entry, List, Map, Node, Position, Problem, Scalar, shorten
from builder.system.files import InputError, read_bytes
from builder.text import find_hidden

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000
MAX_DEPTH = 20
MAX_NUMBER = 40
"""Characters of a number."""

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = (_TAG + "str", _TAG + "timestamp")
_VALUE_TAGS = (_TAG + "null", _TAG + "bool", _TAG + "int", _TAG + "float")
_COLLECTION_TAGS = (_TAG + "map", _TAG + "seq")

_PLAINER_WORDS = {
    "found character '\\t' that cannot start any token": "found a tab; indent with spaces",
    "mapping values are not allowed here": "found a colon where none can be; check the indent, or quote the text",
    "but found another document": "found a second document; a recipe is one",
}


def load_tree(file: Path, problems: list[Problem]) -> Map | None:
    """Return the mapping that `file` holds; what is wrong goes to `problems`, and None means nothing can be used."""
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
        problems.append(Problem(tree.at, f"found {describe(tree)}; allowed: a mapping (`key: value` lines)"))
    return None


def read_text(file: Path, problems: list[Problem], *, within: Path | None = None) -> str | None:
    """Return what a file says in UTF-8; otherwise say why not and where."""
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
        problems.append(Problem(where, f"found the byte 0x{data[error.start]:02x}, which is not UTF-8; save as UTF-8"))
        return None


def compose(text: str, file: Path, problems: list[Problem]) -> YamlNode | None:
    """Return the root node of a YAML text; a syntax error or an empty text goes to `problems`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # legal YAML; the later anchor counts
            root: YamlNode | None = YAML(typ="safe", pure=True).compose(text)
    except ReaderError as error:
        where = _position_of_index(text, error.position, file)
        problems.append(Problem(where, f"found the character U+{error.character:04X}, which YAML does not allow"))
    except MarkedYAMLError as error:
        problems.append(_syntax_problem(error, file))
    except RecursionError:  # the composer recurses, before any depth can be counted
        problems.append(Problem(Position(file, 1, 1), f"nested too deep; allowed: {MAX_DEPTH} levels"))
    else:
        if root is None:
            problems.append(Problem(Position(file, 1, 1), "the file is empty; allowed: a mapping (`key: value` lines)"))
        return root
    return None


def _position_of_index(text: str, index: int, file: Path) -> Position:
    before = text[:index]
    return Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _syntax_problem(error: MarkedYAMLError, file: Path) -> Problem:
    # What was never closed is met at the file's end; where it began says more.
    is_open = "end of stream" in error.problem or "stream end" in error.problem
    mark = (error.context_mark if is_open else None) or error.problem_mark
    words = _PLAINER_WORDS.get(error.problem)
    where = Position(file, mark.line + 1, mark.column + 1)
    problem = shorten(error.problem, 2 * MAX_SHOWN)  # It repeats an alias or a tag, which may be long.
    return Problem(where, words or f"not YAML: {problem}" + (f" {error.context}" if error.context else ""))


def describe(node: Node) -> str:
    """Return what a node is, for a sentence that begins with "found"."""
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
    """Turns ruamel's nodes into ours, counting as it goes."""

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
            self._refuse(node, f"found the tag {shorten(str(node.tag))}; a recipe has none")
        if isinstance(node, SequenceNode):
            items = (self.read(item, depth=depth + 1) for item in node.value)
            return List(self._at(node), tuple(item for item in items if item is not None))
        return self._map(node, depth)

    def _refuse_size(self, node: YamlNode, depth: int) -> None:
        if depth > MAX_DEPTH:
            self._refuse(node, f"nested too deep; allowed: {MAX_DEPTH} levels")
            self.count = MAX_NODES + 1  # an alias inside itself would be refused as often as it can be met
        elif self.count == MAX_NODES + 1:
            self._refuse(node, f"aliases make this more than {MAX_NODES} values; write it without")

    def _map(self, node: YamlNode, depth: int) -> Map:
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, entries)
            value = self.read(value_node, depth=depth + 1)
            if key is None or value is None:
                continue
            at = self._at(key_node)
            if isinstance(value, Scalar) and value.text == "":
                value = Scalar(at, value.value, "")  # an empty value's own mark is on some later line
            entries[key] = Entry(at, value)
        return Map(self._at(node), entries)

    def _key(self, node: YamlNode, entries: dict[str, Entry]) -> str | None:
        if isinstance(node, ScalarNode) and node.tag == _TAG + "merge":
            self._refuse(node, "found a merge key (<<); a recipe takes from another by `extends`")
            return None
        key = self._scalar(node) if isinstance(node, ScalarNode) else None
        if key is None or not isinstance(key.value, str):
            found = describe(key) if key else "a list or mapping"
            self._refuse(node, f"found {found} as a key; allowed: text" + (f', "{shorten(key.text)}"' if key else ""))
            return None
        if key.value in entries:
            self._refuse(
                node, f"found the key {shorten(key.value)!r} again; the first is on line {entries[key.value].at.line}"
            )
            return None
        return key.value

    def _scalar(self, node: ScalarNode) -> Scalar:
        if node.tag in _VALUE_TAGS:
            return Scalar(self._at(node), self._value(node), node.value)
        if node.tag not in _TEXT_TAGS:  # a date stays the text it was written as
            self._refuse(node, f"found the tag {shorten(str(node.tag))}; a recipe has none")
        if hidden := find_hidden(node.value):
            self._refuse(node, f"found the character U+{ord(hidden):04X}, which cannot be seen; leave it out")
            return Scalar(self._at(node), "".join(char for char in node.value if not find_hidden(char)), node.value)
        return Scalar(self._at(node), node.value, node.value)

    def _value(self, node: ScalarNode) -> str | int | float | bool | None:
        if len(node.value) > MAX_NUMBER:  # Python writes no number of more than 4300 digits, and reads hex ones.
            found = f"found {shorten(node.value)!r}, a number of {len(node.value)} characters"
            self._refuse(node, f"{found}; allowed: {MAX_NUMBER}")
            return 0
        try:
            value: int | float | bool | None = self.scalars.constructor.construct_object(node)
        except (
            ValueError,
            KeyError,
            IndexError,
        ):  # `!!int many`, `!!int ''`: the tag promises what the text does not keep
            self._refuse(node, f"found {shorten(node.value)!r} with the tag {node.tag}, which it does not fit")
            return str(node.value)
        return value

    def _refuse(self, node: YamlNode, text: str) -> None:
        self.problems.append(Problem(self._at(node), text))

    def _at(self, node: YamlNode) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)
