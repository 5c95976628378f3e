# SPDX-License-Identifier: MIT
"""Loop devices: a free one is named, and its node is made where there is none."""

from __future__ import annotations

import ast
import os
import stat
from pathlib import Path

import pytest

from builder.system import loop
from builder.system.loop import find_free, loop_node
from tests.conftest import ROOT


def test_without_the_device_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CONTROL", Path("/dev/no-such-control"))
    with pytest.raises(FileNotFoundError):
        find_free()


@pytest.mark.machine
def test_a_free_device_has_a_node() -> None:
    name = find_free()
    assert name.startswith("loop")
    node = loop_node(name)
    assert node == Path("/dev", name)
    assert stat.S_ISBLK(node.stat().st_mode)
    assert os.major(node.stat().st_rdev) == 7
    assert loop_node(name) == node


def test_nodes_are_made_in_one_place() -> None:
    making = {
        path.relative_to(ROOT / "builder").as_posix()
        for path in (ROOT / "builder").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.mknod"
    }
    assert making == {"system/loop.py"}
