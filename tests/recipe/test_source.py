# SPDX-License-Identifier: MIT
"""What a file of bytes can do before it is a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.recipe.messages import check_no_problems
from builder.recipe.nodes import Position, Problem, plain_value
from builder.recipe.yaml_reader import MAX_BYTES, load_tree


def _load(tmp_path: Path, data: bytes) -> tuple[object, list[str]]:
    file = tmp_path / "board.yaml"
    file.write_bytes(data)
    problems: list[Problem] = []
    tree = load_tree(file, problems)
    messages = [str(problem).removeprefix(f"{file}:") for problem in problems]
    return (None if tree is None else plain_value(tree)), messages


def test_values_keep_their_yaml_1_2_types(tmp_path: Path) -> None:
    text = b"a: yes\nb: true\nc: 010\nd: 2026-01-01\ne: '1.0'\nf: 1.0\ng: [x, {y: 12:30}]\nh: ''\ni: !!str 5\n"
    value, messages = _load(tmp_path, text)
    assert messages == []
    assert value == {
        "a": "yes",
        "b": True,
        "c": 10,
        "d": "2026-01-01",
        "e": "1.0",
        "f": 1.0,
        "g": ["x", {"y": "12:30"}],
        "h": "",
        "i": "5",
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"title: caf\xe9\n", "1:11: found the byte 0xe9; expected UTF-8"),
        (b"a: 1\nb: x\nc: \xff\n", "3:4: found the byte 0xff; expected UTF-8"),
        (b"a: b\nc: d\x07\n", "2:5: found the character U+0007; expected one that YAML allows"),
        (b"#" * (MAX_BYTES + 1), "1:1: found more than 256 KiB, which is the most that is read"),
        (b"[" * 5000, "1:1: nested too deep; expected at most 20 levels"),
        (b"%YAML 2.0\n---\na: 1\n", "1:1: not YAML: found incompatible YAML document (version 1.* is required)"),
    ],
)
def test_refuses_what_is_no_text_for_a_recipe(tmp_path: Path, data: bytes, message: str) -> None:
    assert _load(tmp_path, data) == (None, [message])


def test_alias_bomb_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 15):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    value, messages = _load(tmp_path, "\n".join(lines).encode())
    assert value is None
    assert [line.partition(": ")[2] for line in messages] == [
        "found more than 20000 values through aliases; write them without"
    ]


def test_aliases_and_anchors_said_twice_are_fine(tmp_path: Path) -> None:
    value, messages = _load(tmp_path, b"a: &x [1]\nb: *x\nc: &x 2\nd: *x\n")
    assert (value, messages) == ({"a": [1], "b": [1], "c": 2, "d": 2}, [])


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    problems: list[Problem] = []
    assert load_tree(tmp_path / "board.yaml", problems) is None
    assert [problem.text for problem in problems] == ["cannot be read: No such file or directory"]


LONG = "a" * 100_000
NINES = "9" * 5000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a: {NINES}\n", f"1:4: found '{'9' * 57}…', a number of 5000 characters; expected at most 40"),
        (f"a: 0x{NINES}\n", f"1:4: found '0x{'9' * 55}…', a number of 5002 characters; expected at most 40"),
        (f"a: 1.{NINES}\n", f"1:4: found '1.{'9' * 55}…', a number of 5002 characters; expected at most 40"),
        (f"a: !!int x{NINES}\n", f"1:4: found 'x{'9' * 56}…', a number of 5001 characters; expected at most 40"),
        ("a: !!int ''\n", "1:4: found ''; expected a value that fits the tag tag:yaml.org,2002:int"),
        ("a: !!float '_'\n", "1:4: found '_'; expected a value that fits the tag tag:yaml.org,2002:float"),
        ("a: !!bool x\n", "1:4: found 'x'; expected a value that fits the tag tag:yaml.org,2002:bool"),
        (f"{NINES[:900]}: 1\n", f"1:1: found '{'9' * 57}…', a number of 900 characters; expected at most 40"),
        (f"a: !{LONG} b\n", f"1:4: found the tag !{'a' * 56}…; expected no tag"),
        (f"a: *{LONG}\n", f"1:4: not YAML: found undefined alias '{'a' * 94}…"),
        (
            f"{LONG[:900]}: 1\n{LONG[:900]}: 2\n",
            f"2:1: found the key '{'a' * 57}…' again; expected it once, as on line 1",
        ),
    ],
)
def test_a_message_repeats_no_long_text(tmp_path: Path, text: str, message: str) -> None:
    assert message in _load(tmp_path, text.encode())[1]


def test_a_message_is_of_limited_length(tmp_path: Path) -> None:
    problem = Problem(Position(tmp_path / "board.yaml", 1, 1), f"found {LONG!r}")
    assert len(str(problem)) < len(str(tmp_path)) + 2100


def test_thousands_of_mistakes_are_counted() -> None:
    problems = [Problem(Position(Path("board.yaml"), line, 1), "wrong") for line in range(1, 9001)]
    with pytest.raises(RecipeError) as caught:
        check_no_problems(problems)
    assert caught.value.message.splitlines()[-2:] == ["board.yaml:100:1: wrong", "and 8900 more"]
