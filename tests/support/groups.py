# SPDX-License-Identifier: MIT
"""Groups of tests for pytest-xdist: the tests of a group run one after another, in one worker.

Tests are in one group where they share something that is expensive to make or that only one of them may use: images
and machines, the Docker Engine, a root filesystem, a tree of npm packages. Groups run beside each other, so a test
looks for nothing on the machine (loop devices, containers, processes) but what it made itself.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePath

DIRECTORIES = ("chain", "rootfs", "chaos", "release", "ci", "image", "verify")
"""Directories of tests/ that are groups, the longest first."""
BOARDS = "boards"
ENGINE = "engine"
ORDER = ("chain", BOARDS, "rootfs", ENGINE, *DIRECTORIES[2:])
"""Groups in the order in which workers take them; all others come after these. The second needs no Engine: the first
makes the builder image meanwhile."""


def find_group(path: PurePath, marks: Collection[str]) -> str:
    """Return the group of a test.

    path   its file, relative to tests/
    marks  names of its marks
    """
    if path == PurePath("chain/test_boards.py"):
        return BOARDS
    if path.parts[0] == "chain":
        return "chain"
    if ENGINE in marks:
        return ENGINE
    return path.parts[0] if path.parts[0] in DIRECTORIES else str(path)


def rank(group: str) -> int:
    """Return the place of a group in the order."""
    return ORDER.index(group) if group in ORDER else len(ORDER)
