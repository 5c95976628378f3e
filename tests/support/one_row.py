# SPDX-License-Identifier: MIT
"""A copy of the program with one more row in a table and new files, asked by a script: the price of an extension."""

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
    copy, empty = scratch / "code/builder", scratch / "empty"
    shutil.copytree(ROOT / "builder", copy, ignore=shutil.ignore_patterns("__pycache__"))
    empty.mkdir()
    head, _, rest = (copy / table).read_text(encoding="utf-8").partition(before)
    assert rest
    (copy / table).write_text(f"{head}{row}{before}{rest}", encoding="utf-8")
    for path, text in files.items():
        assert not (copy / path).exists()
        (copy / path).write_text(text, encoding="utf-8")
    argv = [sys.executable, "-P", "-c", probe, str(copy), str(empty)]
    environment = {**os.environ, "PYTHONPATH": f"{copy.parent}{os.pathsep}{ROOT}"}
    done = subprocess.run(argv, env=environment, cwd=scratch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
