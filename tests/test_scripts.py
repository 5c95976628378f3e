# SPDX-License-Identifier: MIT
"""Programs that tests start as text: what they import from the product and its tests is there.

No checker of types looks into a text, and most of these tests need an Engine or a machine.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

IMPORT = re.compile(
    r"(?:^|[;\n]|\bimport )\s*from ((?:builder|tests)\.[\w.]+) import ([\w, ]+)|^\s*import (builder\.[\w.]+)",
    re.MULTILINE,
)
INVENTED = {ROOT / "tests/test_floors.py"}
"""It has imports of modules that are not there."""
FILES = sorted({path for name in ("tests", "benchmarks") for path in (ROOT / name).rglob("*.py")} - INVENTED)


def find_imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield module and name of each import in the texts of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    for module, names, alone in (match for text in texts for match in IMPORT.findall(text)):
        if alone:
            yield alone, ""
        for name in filter(None, map(str.strip, names.split(","))):
            yield module, name.split(" as ")[0]


def is_there(module: str, name: str) -> bool:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    return not name or hasattr(found, name) or importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_programs_in_texts_import_is_there(path: Path) -> None:
    assert [f"{module}: {name}" for module, name in find_imports(path) if not is_there(module, name)] == []
