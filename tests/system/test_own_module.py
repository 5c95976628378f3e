# SPDX-License-Identifier: MIT
"""What lies in the working directory is not taken for a module of ours, or for one that we use."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.system.own_module import own_environment, own_module
from builder.system.process import run
from tests.conftest import ROOT

PLANTED = ("pytest", "builder", "json", "rich", "specs", "sitecustomize", "usercustomize")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with modules of a stranger, one of which is named by PYTHONPATH too."""
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f":.:{ROOT}:")
    return tmp_path


@pytest.mark.parametrize("words", [["pytest", "--version"], ["builder", "--version"]], ids=lambda words: words[0])
def test_modules_of_the_working_directory_do_not_run(words: list[str], planted: Path) -> None:
    name, *options = words
    assert run([*own_module(name), *options], env=own_environment()).code == 0
    assert not (planted / "ran").exists()


def test_they_would_run_without(planted: Path) -> None:
    python = own_module("pytest")[0]
    subprocess.run([python, "-m", "pytest", "--version"], check=False, capture_output=True)
    assert (planted / "ran").exists()


def find_starts_of_python(file: Path) -> Iterator[list[str]]:
    """Yield the words of each command that names Python."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Tuple | ast.List):
            words = [ast.unparse(each) for each in node.elts]
            if "sys.executable" in words or "'python3'" in words:
                yield words


def test_python_is_started_apart_from_the_working_directory() -> None:
    """By builder.system.own_module, or isolated (-I)."""
    starts = {
        path.relative_to(ROOT).as_posix(): words
        for path in (ROOT / "builder").rglob("*.py")
        for words in find_starts_of_python(path)
    }
    assert len(starts) > 4
    assert [file for file, words in starts.items() if not {"*MODULE", "'-I'"} & set(words)] == []
