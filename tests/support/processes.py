# SPDX-License-Identifier: MIT
"""Shell scripts, and processes by their number."""

from __future__ import annotations

from pathlib import Path

from builder.system.process import Result, run
from tests.support.wait import wait_until


def sh(script: str, *, log_file: Path | None = None, timeout_s: float | None = None) -> Result:
    return run(["sh", "-c", script], log_file=log_file, timeout_s=timeout_s)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def read_pid(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"), f"{path} was not written")
    return int(path.read_text())
