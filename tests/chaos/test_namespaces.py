# SPDX-License-Identifier: MIT
"""A real mmdebstrap in its namespaces, ended in the middle: no process, no mount, no namespace of it remains."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.chaos import Place
from tests.support.wait import wait_until

pytestmark = pytest.mark.machine


def namespaces(processes: Iterable[int]) -> set[str]:
    """Return the PID and mount namespaces that these processes are in."""
    found = set()
    for process in processes:
        for kind in ("pid", "mnt"):
            with suppress(OSError):  # It ended meanwhile.
                found.add(str(Path(f"/proc/{process}/ns/{kind}").readlink()))
    return found


def everybody() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def descendants(parent: int) -> list[int]:
    """Return all processes below one."""
    found = []
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_mmdebstrap_ends_with_the_build(supplied: Place, number: signal.Signals) -> None:
    place = supplied
    build = place.start(reuse=False)
    unpacked = "scratch-*/base/tree/usr/bin/dpkg"
    wait_until(lambda: [*place.state.glob(f"rooms/tiny/{unpacked}")], "nothing is unpacked")
    own = namespaces(descendants(build.process.pid)) - namespaces([os.getpid()])
    assert len(own) >= 2, "a PID and a mount namespace of its own"
    build.process.send_signal(number)
    assert build.wait() == (-9 if number == signal.SIGKILL else 130), build.output
    wait_until(lambda: not own & namespaces(everybody()), "a process lives on in the build's namespaces")
    if number == signal.SIGKILL:
        assert place.doctor("--fix")[1] == []
    assert place.traces() == []
    assert place.products() == []
