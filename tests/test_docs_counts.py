# SPDX-License-Identifier: MIT
"""Numbers that the documentation states, against what they count. A number with zeros at its end is rounded down."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from builder.choices import Assembler
from builder.cli import VERBS
from builder.plan.make import make_plan
from builder.recipe.load import list_boards, load_board
from builder.verify.parametrize import find_traits
from builder.verify.plugin import LEVELS, load_rows
from builder.verify.task import Task
from tests.packaging.test_check import WAYS as SPOILT
from tests.support.breakages import BREAKAGES
from tests.support.ways_in import WAYS
from tests.support.ways_in.words import OTHER_WORDS, WORDS
from tests.test_docs import PAGES, ROOT, page_name, read_answers

NUMBERS = {"two": 2, "three": 3, "four": 4, "six": 6, "nine": 9, "ten": 10, "twelve": 12}
RECORDED = {("docs/building.md", "616 specs"), ("docs/benchmarks.md", "614 specs")}
"""Output and measurements of a day."""
COUNTED = re.compile(r"\b(\d[\d,]* (?:boards|specs|ways|levels|verbs|worked examples|mutated images))\b")


def list_example_boards() -> list[str]:
    text = (ROOT / "docs/users-boards.md").read_text(encoding="utf-8")
    return re.findall(r"^`boards/([\w-]+)/board\.yaml`:$", text, re.MULTILINE)


@cache
def count_specs(board: str) -> int:
    """Return how many offline specs a build of a board runs."""
    plan = make_plan(load_board(ROOT / "boards", board), version="1.0", epoch=0)
    specs = ROOT / "specs"
    with tempfile.TemporaryDirectory() as directory:
        task = Path(directory) / "task.json"
        Task(plan=plan, packages="list").write(task)
        argv = [
            "pytest",
            "-c",
            specs / "pytest.ini",
            "--rootdir",
            specs,
            "--task",
            task,
            "--collect-only",
            "-qq",
            specs,
        ]
        done = subprocess.run(
            [sys.executable, "-m", *map(str, argv)],
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            check=True,
        )
    return len(re.findall(r"^\w+_spec\.py::", done.stdout, re.MULTILINE))


def find_number(path: str, pattern: str) -> int:
    """Return a number that a file of the tests has."""
    match = re.search(pattern, (ROOT / path).read_text(encoding="utf-8"))
    assert match
    return int(match[1])


def count_device_trees() -> int:
    plan = make_plan(load_board(ROOT / "boards", "rpi"), version="1.0", epoch=0)
    return len([name for name in load_rows(ROOT / "specs/data/boot_file.yaml", find_traits(plan)) if ".dtb" in name])


def load_yaml(path: str) -> Any:
    return YAML(typ="safe").load(ROOT / path)


FUZZ = "tests/verify/test_fuzz.py"
COUNTS: Mapping[tuple[str, str], Any] = {
    ("README.md", r"(\w+) specs of the image"): lambda: count_specs("rpi"),
    ("CHANGELOG.md", r"(\w+) sentences about an image of `rpi`"): lambda: count_specs("rpi"),
    ("docs/design.md", r"(\w+) specs of `rpi`"): lambda: count_specs("rpi"),
    ("docs/benchmarks.md", r"all (\w+) of them"): lambda: len(list_boards(ROOT / "boards")),
    ("README.md", r"(\w+) worked examples"): lambda: len(list_example_boards()),
    ("CHANGELOG.md", r"(\w+) worked examples"): lambda: len(list_example_boards()),
    ("docs/users-boards.md", r"# (\w+) boards of users"): lambda: len(list_example_boards()),
    ("docs/testing.md", r"the (\w+) \[boards of users\]"): lambda: len(list_example_boards()),
    ("docs/testing.md", r"on (\w+) boards"): lambda: len(load_yaml("tests/breadth/field.yaml")["boards"]),
    ("docs/testing.md", r"in (\w+) ways"): lambda: len(SPOILT),
    ("docs/testing.md", r"more than (\w+) ways to break"): lambda: len(BREAKAGES),
    ("docs/testing.md", r"its (\w+) slowest tests"): lambda: find_number(".ci/run", r"--durations=(\d+)"),
    ("docs/security.md", r"more than (\w+) ways to plant"): lambda: len(WAYS),
    ("docs/security.md", r"more than (\w+) words"): lambda: len(WORDS) + len(OTHER_WORDS),
    ("docs/security.md", r"(\w+) mutated images"): lambda: find_number(FUZZ, r"COUNT = 1000 if IS_WHOLE else (\d+)"),
    ("docs/security.md", r"(\w+) more by the commands"): lambda: find_number(FUZZ, r"COMMANDS = \d+ .* else (\d+)"),
    ("docs/security.md", r"Before a release (\w+),"): lambda: find_number(FUZZ, r"COUNT = (\d+) if IS_WHOLE"),
    ("docs/security.md", r"and (\w+) by each command"): lambda: find_number(FUZZ, r"COMMANDS = (\d+) if IS_WHOLE"),
    ("docs/hypriot-specs.md", r"(\w+) files for all"): lambda: len(load_yaml("specs/data/boot_file.yaml")["raspi"]),
    ("docs/hypriot-specs.md", r"(\w+) device trees"): count_device_trees,
    ("docs/design.md", r"(\w+) assemblers"): lambda: len(Assembler) - 1,
    ("CHANGELOG.md", r"(\w+) assemblers"): lambda: len(Assembler) - 1,
    ("CHANGELOG.md", r"in (\w+) groups"): lambda: len({verb.group for verb in VERBS.values()}),
    ("docs/writing-a-spec.md", r"one of (\w+) levels"): lambda: len(LEVELS),
    ("docs/architecture-tour.md", r"(\w+) questions"): lambda: len(read_answers()),
}
"""What is counted, by page and pattern."""


def is_right(stated: str, count: int) -> bool:
    """Return whether a stated number fits: with zeros at its end it is rounded down, so 600 is 600 to 699."""
    number = NUMBERS.get(stated.lower()) or int(stated)
    rounded = 10 ** (len(stated) - len(stated.rstrip("0"))) if stated.isdigit() else 1
    return bool(number) and number <= count < number + rounded


@pytest.mark.parametrize(("page", "pattern"), COUNTS, ids=lambda value: value)
def test_every_count_is_that_of_the_code(page: str, pattern: str) -> None:
    stated = re.findall(pattern, (ROOT / page).read_text(encoding="utf-8"))
    count = COUNTS[page, pattern]()
    assert stated
    assert [number for number in stated if not is_right(number, count)] == [], count


@pytest.mark.parametrize(
    ("stated", "count", "right"),
    [
        ("600", 617, True),
        ("600", 599, False),
        ("600", 700, False),
        ("45", 45, True),
        ("45", 46, False),
        ("50", 59, True),
        ("Ten", 10, True),
        ("ten", 11, False),
    ],
)
def test_a_number_is_exact_or_rounded_down(stated: str, count: int, right: bool) -> None:
    assert is_right(stated, count) == right


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_count_is_without_a_test(page: Path) -> None:
    text, name = page.read_text(encoding="utf-8"), page_name(page)
    spans = [match.span() for path, pattern in COUNTS if path == name for match in re.finditer(pattern, text)]
    loose = {
        match[1]
        for match in COUNTED.finditer(text)
        if not any(start < match.end() and match.start() < end for start, end in spans)
    }
    assert loose - {number for path, number in RECORDED if path == name} == set()
