# SPDX-License-Identifier: MIT
"""Start our own modules as processes that import nothing from their working directory.

`python -m` looks for modules in the working directory first. Images are fetched and untrusted repositories are checked
out there: a pytest.py in it would run instead of pytest.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import builder

MODULE = ("-P", "-m")
"""-P (Python 3.11): do not search the working directory for modules."""


def own_module(name: str) -> list[str]:
    """Return the command that runs a module; append its arguments."""
    return [sys.executable, *MODULE, name]


def own_environment() -> dict[str, str]:
    """Return the environment with which that process imports this same package."""
    top = str(Path(builder.__file__).resolve().parents[1])
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(path).is_absolute()]
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys([top, *inherited]))}
