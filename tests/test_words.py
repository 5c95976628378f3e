# SPDX-License-Identifier: MIT
"""One word, one meaning: names of classes, the glossary of docs/design.md, and words that the code does without."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODULES = sorted((ROOT / "builder").rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
RETIRED = {
    *("Story", "Bench", "Seat", "Goods", "Parcel", "Wish", "Step", "Patience", "Reach", "Origin", "Site", "Paper"),
    *("Handed", "Kept", "Wanted", "Taken", "Said", "Told", "News", "Subject", "Bill", "Shipment", "Delivered"),
}
"""Words of classes that have the field's own word now."""
THEATRE = re.compile(r"\b(story|stories|patience|patient|nobody|whoever|is had|goods|parcels?|anew)\b", re.IGNORECASE)
USERS = {
    "builder/verify/live/qemu/confine.py": "the user of a confined QEMU",
    "builder/recipe/check_users.py": "a user of Debian",
    "tests/engine/docker/test_connect.py": "the user that sudo names",
    "tests/support/archive.py": "the maintainer of a package",
    "tests/support/ways_in/cloud_init.py": "a user of Debian",
    "tests/support/ways_in/logins.py": "a user of Debian",
    "tests/system/test_git.py": "the author of a commit",
    "tests/verify/live/test_qemu_confine.py": "the user of a confined QEMU",
}
"""Files where `nobody` is a user of Unix or a name that a program asks for."""
ROLES = {"story", "said", "told", "seat", "wish", "wished", "nobody", "bench", "goods", "parcel", "news"}
"""Names of variables, parameters and fixtures that do not tell what they hold."""


def list_classes(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))


def list_names(path: Path) -> Iterator[str]:
    """Yield names of variables, parameters and functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef):
            yield node.name


def read_glossary() -> list[str]:
    section = (ROOT / "docs/design.md").read_text(encoding="utf-8").partition("## Words\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")][1:]
    return [word for row in rows for word in row.split(", ")]


def test_no_two_classes_have_one_name() -> None:
    count = Counter(name for path in MODULES for name in list_classes(path))
    assert [name for name, times in count.items() if times > 1] == []


def test_a_class_is_called_by_the_fields_word() -> None:
    names = {name for path in [*MODULES, *TESTS] for name in list_classes(path)}
    assert {name for name in names if RETIRED.intersection(re.findall("[A-Z][a-z0-9]*", name))} == set()


def test_the_glossary_has_each_word_once_and_no_retired_one() -> None:
    words = read_glossary()
    assert len(words) > 15
    assert [word for word, times in Counter(words).items() if times > 1] == []
    assert {word.lower() for word in RETIRED}.isdisjoint(words)


def find_theatre(path: Path) -> set[str]:
    found = {match.lower() for match in THEATRE.findall(path.read_text(encoding="utf-8"))}
    return found - ({"nobody"} if str(path.relative_to(ROOT)) in USERS else set())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_about_programs_and_not_about_people(path: Path) -> None:
    assert find_theatre(path) == set()


def test_tests_are_about_programs_and_not_about_people() -> None:
    assert {str(path.relative_to(ROOT)): found for path in TESTS if (found := find_theatre(path))} == {}


def test_each_file_with_a_user_of_unix_has_one() -> None:
    assert [name for name in USERS if "nobody" not in (ROOT / name).read_text(encoding="utf-8").lower()] == []


def test_a_name_of_a_test_is_what_it_holds() -> None:
    roles = {path: ROLES.intersection(name.strip("_") for name in list_names(path)) for path in TESTS}
    assert {str(path.relative_to(ROOT)): found for path, found in roles.items() if found} == {}
