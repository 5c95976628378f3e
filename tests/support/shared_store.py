# SPDX-License-Identifier: MIT
"""Stores of several machines with one bucket behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from builder.cache.store import Store

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()
OBJECT, REF = f"ci/objects/{DIGEST[:2]}/{DIGEST}", "ci/refs/layer%2Fbase.json"
Machine = Callable[..., Store]


def write(path: Path, content: bytes = CONTENT) -> Path:
    path.write_bytes(content)
    return path


def shared(machine: Machine, runs: ExitStack, tmp_path: Path, content: bytes = CONTENT) -> Store:
    """Let one machine share an object, and return the store of another."""
    one = machine("one")
    one.set_ref("layer/base", one.add(write(tmp_path / "source", content)), {})
    runs.close()
    return machine("two")
