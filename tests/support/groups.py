# SPDX-License-Identifier: MIT
"""Groups of tests for pytest-xdist: the tests of a group run one after another, in one worker.

Tests are in one group where they share something that is expensive to make or that only one of them may use: images
and machines, the Docker Engine, a root filesystem. All others are grouped by file. Groups run beside each other, so a
test looks for nothing on the machine (loop devices, containers, processes) but what it made itself.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

CHAIN = "chain"
"""Images of whole boards and machines that run them."""
MACHINE = "machine"
"""A machine that stands for a real board, and boards that start from the same layers."""
BOARDS = "boards"
UPGRADED = "upgraded"
"""The board that starts with another kernel: its start takes as long as all other boards do."""
ROOTFS = "rootfs"
ENGINE = "engine"
CHAOS = "chaos"
GITHUB = "github"
"""The double of GitHub, with one Prism."""
GROUPS = {
    "tests/chain/test_boards.py::test_a_boot_loader_one_sector_off_does_not_start": UPGRADED,
    "tests/chain/test_boards.py::test_a_board_with_u_boot_starts": UPGRADED,
    "tests/chain/test_boards.py": BOARDS,
    "tests/chain/test_groups.py": "tests/chain/test_groups.py",
    "tests/chain/test_boot.py::test_a_booted_image_is_what_its_recipe_promises[qemu_arm64]": "qemu-arm64",
    "tests/chain/test_boot.py::test_a_booted_image_is_what_its_recipe_promises[rpi]": "rpi",
    "tests/chain/test_boot.py::test_an_emulated_raspberry_pi": "rpi",
    "tests/chain/test_running.py": MACHINE,
    "tests/chain/test_first_boot.py": MACHINE,
    "tests/chain/test_breadth.py": MACHINE,
    "tests/chain/test_users_boards.py": MACHINE,
    "tests/chain/": CHAIN,
    "tests/rootfs/test_layers.py": ROOTFS,
    "tests/rootfs/test_make.py": ROOTFS,
    "tests/rootfs/test_current.py": ROOTFS,
    "tests/rootfs/test_remake.py": ROOTFS,
    "tests/rootfs/test_shared_layers.py": ROOTFS,
    "tests/engine/": ENGINE,
    "tests/chaos/test_engine.py": ENGINE,
    "tests/chaos/test_signals.py": CHAOS,
    "tests/chaos/test_namespaces.py": CHAOS,
    "tests/release/test_github.py": GITHUB,
    "tests/release/test_github_access.py": GITHUB,
    "tests/release/test_github_errors.py": GITHUB,
    "tests/release/test_github_retry.py": GITHUB,
}
"""Groups that are more than a file, by the start of their tests' names; the first that fits counts."""
ORDER = (
    *(CHAIN, MACHINE, UPGRADED, BOARDS, "rpi", "qemu-arm64", ROOTFS, "tests/rootfs/test_emulation.py", ENGINE, CHAOS),
    *("tests/chaos/test_kill.py", "tests/test_style.py"),
)
"""Groups in the order in which workers take them; all others come after these. CHAIN makes the builder image while
ROOTFS, which needs no Engine, is made."""


def find_group(name: str) -> str:
    """Return the group of a test; `name` is its node id: path from the top of the repository, "::", function."""
    fitting = (group for start, group in GROUPS.items() if name.startswith(start))
    return next(fitting, name.partition("::")[0])


def rank(group: str) -> int:
    """Return the place of a group in the order."""
    return ORDER.index(group) if group in ORDER else len(ORDER)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types for it
    """Gives groups to workers in the order of the tests.

    Not `--dist loadgroup`: xdist 3.8 writes the group into an attribute that pytest 9.2 reads no more.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return find_group(nodeid)
