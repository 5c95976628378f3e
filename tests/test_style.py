# SPDX-License-Identifier: MIT
"""The house style, as far as a program can see it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILDER = sorted((ROOT / "builder").rglob("*.py"))
OURS = sorted(path for name in ("builder", "tests", "specs") for path in (ROOT / name).rglob("*.py"))
LONGEST_FILE = 300
LONGEST_FUNCTION = 40

STARTERS = {
    "builder/system/process.py": "the only starter of processes",
    "builder/rootfs/namespaces.py": "a script that imports nothing of ours; only a fork enters a new namespace",
    "builder/verify/live/try_console.py": "runs on the system that is asked, and imports nothing of ours",
}
"""Files that may start processes, and why."""
STARTING = {
    "os": ("system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "spawn", "exec"),
    "pty": ("spawn", "fork"),
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", OURS, ids=relative)
def test_the_licence_is_in_the_first_line(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text or text.startswith("# SPDX-License-Identifier: MIT\n")


@pytest.mark.parametrize("path", BUILDER, ids=relative)
def test_a_module_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text)), "no docstring"


@pytest.mark.parametrize("path", BUILDER, ids=relative)
def test_functions_are_short(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = {node.name: length for node in functions if (length := length_of(node)) > LONGEST_FUNCTION}
    assert not long


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body, without its docstring. Parameters are not counted: those of a verb are a
    table of its options."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - first.lineno + 1 - docstring


@pytest.mark.parametrize("path", BUILDER, ids=relative)
def test_processes_are_started_in_one_place(path: Path) -> None:
    found = find_starts(ast.parse(path.read_text(encoding="utf-8")))
    assert "shell=True" not in found
    assert not found or relative(path) in STARTERS, f"{found}: use builder.system.process.run"


def find_starts(tree: ast.AST) -> set[str]:
    """Return everything in a module that starts a process."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in ("subprocess", "multiprocessing")}
        if isinstance(node, ast.ImportFrom) and node.module in ("subprocess", "multiprocessing", "pty"):
            found.add(node.module)
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            found |= {f"os.{alias.name}" for alias in node.names if is_start("os", alias.name)}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and is_start(node.value.id, node.attr):
            found.add(f"{node.value.id}.{node.attr}")
        if isinstance(node, ast.keyword) and node.arg == "shell":
            is_off = isinstance(node.value, ast.Constant) and node.value.value is False
            found |= set() if is_off else {"shell=True"}
    return found


def is_start(module: str, name: str) -> bool:
    return any(
        name == start or (start in ("spawn", "exec") and name.startswith(start)) for start in STARTING.get(module, ())
    )


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import subprocess", {"subprocess"}),
        ("from subprocess import run as r", {"subprocess"}),
        ("def f():\n import os\n os.execvp('a', [])", {"os.execvp"}),
        ("from os import system", {"os.system"}),
        ("import pty\npty.spawn('x')", {"pty.spawn"}),
        ("f(x, shell=True)", {"shell=True"}),
        ("f(x, shell=y)", {"shell=True"}),
        ("f(x, shell=False); os.path.exists('x')", set()),
    ],
)
def test_no_way_to_start_a_process_is_overlooked(source: str, found: set[str]) -> None:
    assert find_starts(ast.parse(source)) == found


@pytest.mark.parametrize(
    "words",
    [
        ("ruff", "check", "--no-fix"),
        ("ruff", "format", "--check"),
        ("mypy",),
    ],
    ids=" ".join,
)
def test_the_checkers_are_content(words: tuple[str, ...]) -> None:
    checked = subprocess.run([sys.executable, "-m", *words], check=False, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
