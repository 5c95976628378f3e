# SPDX-License-Identifier: MIT
"""Groups of tests for pytest-xdist: the tests of a group run one after another, in one worker.

Tests are in one group where they share something that is expensive to make or that only one of them may use: images
and machines, the Docker Engine, a root filesystem. All others are grouped by file. Groups run beside each other, so a
test looks for nothing on the machine (loop devices, containers, processes) but what it made itself.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePath

CHAIN = "chain"
"""Images of whole boards and machines that run them."""
ENGINE = "engine"
"""Containers."""
BOARDS = "boards"
FILES = {
    "chain/test_boards.py": BOARDS,
    "chain/test_groups.py": "chain/test_groups.py",
    **dict.fromkeys(
        (
            *("rootfs/test_layers.py", "rootfs/test_make.py", "rootfs/test_current.py"),
            *("rootfs/test_remake.py", "rootfs/test_shared_layers.py"),
        ),
        "rootfs",
    ),
    **dict.fromkeys(("chaos/test_signals.py", "chaos/test_namespaces.py"), "chaos"),
}
"""Groups of files that share more than a directory or a mark says."""
ORDER = (CHAIN, BOARDS, "rootfs", "rootfs/test_emulation.py", ENGINE, "chaos", "chaos/test_kill.py", "test_style.py")
"""Groups in the order in which workers take them; all others come after these. Of the first two, the one that needs no
Engine runs while the other makes the builder image."""


def find_group(path: PurePath, marks: Collection[str]) -> str:
    """Return the group of a test.

    path   its file, relative to tests/
    marks  names of its marks
    """
    if str(path) in FILES:
        return FILES[str(path)]
    if path.parts[0] == CHAIN:
        return CHAIN
    return ENGINE if ENGINE in marks else str(path)


def rank(group: str) -> int:
    """Return the place of a group in the order."""
    return ORDER.index(group) if group in ORDER else len(ORDER)
