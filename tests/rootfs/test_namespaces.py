# SPDX-License-Identifier: MIT
"""The processes of namespaces.py when one of them is killed before the others have asked to die with it."""

from __future__ import annotations

import subprocess
import sys

from builder.rootfs.namespaces import REFUSED
from tests.conftest import ROOT

INIT = """
import os, sys
from builder.rootfs import namespaces as enter
watched, life = os.pipe()
os.close(life)
sys.exit(enter._run_as_init(None, watched))
"""

WRITER = """
import os, signal
from types import SimpleNamespace
from builder.rootfs import namespaces as enter
enter.libc = SimpleNamespace(
    prctl=lambda *words: 0,
    unshare=lambda flags: os.kill(os.getpid(), signal.SIGKILL),
)
enter._leave_namespaces(private=True, network=True)
"""


def test_an_init_whose_supervisor_is_dead_prepares_nothing() -> None:
    assert subprocess.run([sys.executable, "-c", INIT], cwd=ROOT, check=False).returncode == REFUSED


def test_the_writer_of_the_identity_map_ends_with_its_supervisor() -> None:
    """Its own end of the pipe would keep it waiting; here it does not hear of the death by signal."""
    words = [sys.executable, "-c", WRITER]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, timeout=30, check=False)  # Until all have ended.
    assert done.returncode == -9
