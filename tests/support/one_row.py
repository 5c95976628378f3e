# SPDX-License-Identifier: MIT
"""A copy of the program with an extension: a row in a table, new files. A script asks it: the price of a change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.conftest import ROOT

NO_FILES: Mapping[str, str] = MappingProxyType({})


def ask_with_row(
    table: str, before: str, row: str, probe: str, scratch: Path, files: Mapping[str, str] = NO_FILES
) -> None:
    """Run a script that asserts things of the copy; AssertionError with what it wrote where it fails.

    table   the module, by its path below builder/
    before  the start of the line that the row is put before
    probe   its arguments are the directory of the copy and an empty directory
    files   texts of new files, by their path below builder/
    """
    copy = _copy("builder", scratch)
    head, _, rest = (copy / table).read_text(encoding="utf-8").partition(before)
    assert rest
    (copy / table).write_text(f"{head}{row}{before}{rest}", encoding="utf-8")
    _add(files, copy)
    _ask(probe, copy, scratch)


def ask_with_spec(probe: str, scratch: Path, files: Mapping[str, str]) -> None:
    """Run a script as `ask_with_row` does, where no table has a new row; `files` are below specs/."""
    copy = _copy("builder", scratch)
    _add(files, _copy("specs", scratch))
    _ask(probe, copy, scratch)


def _copy(name: str, scratch: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / name, scratch / "code" / name, ignore=ignored))


def _add(files: Mapping[str, str], place: Path) -> None:
    for path, text in files.items():
        assert not (place / path).exists()
        (place / path).write_text(text, encoding="utf-8")


def _ask(probe: str, copy: Path, scratch: Path) -> None:
    empty = scratch / "empty"
    empty.mkdir()
    argv = [sys.executable, "-P", "-c", probe, str(copy), str(empty)]
    environment = {**os.environ, "PYTHONPATH": f"{copy.parent}{os.pathsep}{ROOT}"}
    done = subprocess.run(argv, env=environment, cwd=scratch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
