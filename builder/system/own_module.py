# SPDX-License-Identifier: MIT
"""Processes of our own modules: they import what this process does, and nothing of the directory that they start in.

`python -m` looks for modules in the working directory first. That is where images are fetched to, and where
repositories of strangers are checked out: a pytest.py there would run instead of pytest.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import builder

MODULE = ("-P", "-m")
"""-P (Python 3.11): no working directory among the places of modules."""


def own_module(name: str) -> list[str]:
    """Return program and options that run a module; its arguments follow."""
    return [sys.executable, *MODULE, name]


def own_environment() -> dict[str, str]:
    """Return what lets that process find this very package, however it was found here."""
    here = str(Path(builder.__file__).resolve().parents[1])
    given = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(place).is_absolute()]
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys([here, *given]))}
