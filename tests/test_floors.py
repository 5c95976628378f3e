# SPDX-License-Identifier: MIT
"""What may import what: only what lies on a lower floor; of a neighbour folder on the same floor only its `model`.

A `model` holds the frozen values that one stage hands to the next, and nothing that works on them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

BUILDER = Path(__file__).parent.parent / "builder"

FLOORS = {
    "architecture": 0,
    "compression": 0,
    "filesystem": 0,
    "choices": 0,
    "errors": 0,
    "log": 0,
    "quote": 0,
    "rows": 0,
    "text": 0,
    "units": 0,
    "system": 1,
    "net": 1,
    "cache": 1,
    "recipe": 2,
    "plan": 3,
    "disk": 4,
    "artefact": 4,
    "signing": 4,
    "boot_methods": 5,
    "filesystems": 5,
    "rootfs": 6,
    "image": 6,
    "verify": 6,
    "packaging": 6,
    "release": 7,
    "catalogue": 7,
    "fetch": 8,
    "request": 7,
    "pipeline": 8,
    "cache_preview": 8,
    "engine": 9,
    "ci": 10,
    "doctor": 10,
    "verbs": 11,
    "cli": 12,
    "__main__": 13,
}
"""The floor of each module and folder of builder/. A new one needs a row here, and one in docs/design.md."""
NEIGHBOURS_ALLOWED = {0, 1}
"""The floors of small modules, which may import each other, but not in a circle."""


def find_imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name below builder) of everything of ours that a module imports, wherever it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*start, *filter(None, [node.module])))
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "builder":
                yield node.lineno, name.partition(".")[2]


def place_of(path: Path) -> str:
    """Return the module or folder directly below builder/ that a file belongs to; "" for builder/__init__.py."""
    first = path.relative_to(BUILDER).parts[0]
    return first.removesuffix(".py").replace("__init__", "")


def check(place: str, name: str) -> str:
    """Return the problem of `place` importing `name` (dotted, below builder), or ""."""
    imported, _, inside = name.partition(".")
    if place == "":
        return f"builder/__init__.py imports {imported}"
    if imported in (place, "", "__version__"):
        return ""
    for each in (place, imported):
        if each not in FLOORS:
            return f"{each} has no floor"
    mine, theirs = FLOORS[place], FLOORS[imported]
    if theirs > mine:
        return f"{place} (floor {mine}) imports {imported} of the higher floor {theirs}"
    if theirs == mine and mine not in NEIGHBOURS_ALLOWED and inside.split(".")[0] != "model":
        return f"{place} imports its neighbour {imported} on floor {mine}"
    return ""


FILES = sorted(BUILDER.rglob("*.py"))


def edges() -> Iterator[tuple[Path, int, str, str]]:
    for path in FILES:
        package = ("builder", *path.relative_to(BUILDER).parent.parts)
        for line, name in find_imports(ast.parse(path.read_text(encoding="utf-8")), package):
            yield path, line, place_of(path), name


def test_every_file_has_a_floor() -> None:
    assert {place_of(path) for path in FILES} - {""} <= set(FLOORS)


def test_tests_mirror_the_program() -> None:
    """tests/chain builds and boots images, tests/chaos kills builds: both run the whole program."""
    tests = BUILDER.parent / "tests"
    folders = {path.parent.relative_to(tests).parts[0] for path in tests.glob("*/**/test_*.py")}
    assert folders - {"chain", "chaos"} <= {path.name for path in BUILDER.iterdir() if path.is_dir()}


def test_imports_go_down() -> None:
    wrong = [
        f"{path.relative_to(BUILDER.parent)}:{line}: {problem}"
        for path, line, place, name in edges()
        if (problem := check(place, name))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_part_imports_itself_in_a_circle() -> None:
    below: dict[str, set[str]] = {}
    for _, _, place, name in edges():
        imported = name.split(".")[0]
        if imported not in ("", place):
            below.setdefault(place, set()).add(imported)

    def walk(place: str, path: tuple[str, ...]) -> None:
        assert place not in path, " → ".join((*path, place))
        for each in below.get(place, ()):
            walk(each, (*path, place))

    for place in below:
        walk(place, ())


@pytest.mark.parametrize(
    ("place", "imported", "problem"),
    [
        ("image", "rootfs", "neighbour"),
        ("image", "rootfs.make", "neighbour"),
        ("image", "rootfs.model.Rootfs", ""),
        ("recipe", "plan.model", "higher floor"),
        ("plan", "image", "higher floor"),
        ("helpers", "log", "no floor"),
        ("plan", "helpers", "no floor"),
        ("", "log", "__init__"),
        ("image", "plan", ""),
        ("image", "image", ""),
        ("cache", "system", ""),
    ],
)
def test_the_rule_itself(place: str, imported: str, problem: str) -> None:
    assert problem in check(place, imported)
    assert bool(check(place, imported)) == bool(problem)


def test_no_way_to_import_is_overlooked() -> None:
    source = """
import builder.a
import builder.b.c as d, os
from builder import e, f
from builder.g.h import i
from . import j
from .k import l
from .. import m
from ..n import o
def late():
    import builder.p
"""
    found = {name for _, name in find_imports(ast.parse(source), ("builder", "here"))}
    assert found == {"a", "b.c", "e", "f", "g.h.i", "here.j", "here.k.l", "m", "n.o", "p"}
