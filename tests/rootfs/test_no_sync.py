# SPDX-License-Identifier: MIT
"""Nothing that makes a tree waits for the disk, and nothing else of its system calls changes."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from builder.rootfs import namespaces
from builder.rootfs.emulation import Emulation, Mode, command
from builder.system.process import run

ROOT = Path(__file__).resolve().parents[2]
NATIVE = Emulation(Mode.NATIVE, "amd64", "test")
# Calls with a file that is not open: the kernel refuses them, and who is answered at once does not get that far.
ASK = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
print(*(libc.syscall(int(number), -1, 0, 0, 0) for number in sys.argv[1:]))
"""


@pytest.mark.machine
class TestNoSync:
    NUMBERS = namespaces.SYNCS[platform.machine()][1]

    @pytest.mark.parametrize(
        "mode", [NATIVE, Emulation(Mode.QEMU, "arm64", "test", Path("/usr/bin/true"), private=True)]
    )
    def test_what_waits_for_the_disk_is_answered_at_once(self, mode: Emulation) -> None:
        assert self.ask(mode, self.NUMBERS, syncs=False) == [0] * len(self.NUMBERS)

    def test_programs_that_do_not_make_a_tree_wait(self) -> None:
        assert -1 in self.ask(NATIVE, self.NUMBERS, syncs=True)

    def test_all_other_calls_reach_the_kernel(self) -> None:
        harmless = [number for number in range(73, 83) if number not in self.NUMBERS]
        assert self.ask(NATIVE, harmless, syncs=False) == self.ask(NATIVE, harmless, syncs=True)

    def test_where_the_kernel_refuses_the_filter_all_waits(self) -> None:
        # No kernel knows this mode.
        argv = ["python3", "-c", ASK, str(self.NUMBERS[0])]
        lines = (
            "from builder.rootfs import namespaces",
            "namespaces.SECCOMP_MODE_FILTER = 99",
            f"namespaces._become({argv}, None, syncs=False)",
        )
        code = "\n".join(lines)
        assert "-1" in run([sys.executable, "-c", code], cwd=ROOT).stdout

    def ask(self, mode: Emulation, numbers: Sequence[int], *, syncs: bool) -> list[int]:
        argv = command(mode, ["python3", "-c", ASK, *map(str, numbers)], rootfs=Path("/"), syncs=syncs)
        return [int(answer) for answer in run(argv).stdout.split()]
