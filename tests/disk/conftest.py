# SPDX-License-Identifier: MIT
"""Sources of small filesystems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tree = tmp_path / "source"
    (tree / "etc/deep").mkdir(parents=True)
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tree / "etc/aaaaaaaa").write_text("first\n")
    (tree / "etc/bbbbbbbb").write_text("second\n")
    (tree / "etc/zzzzzzzz").symlink_to(tmp_path / "victim")
    os.link(tree / "etc/passwd", tree / "hard")
    (tree / "etc/passwd").chmod(0o640)
    os.chown(tree / "etc/deep", 1000, 1001)
    (tmp_path / "victim").write_text("precious")
    return tree
